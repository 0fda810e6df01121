"""Running TRL in this process: an output folder that survives being killed, and the same proof that it finished."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.backends import events
from engine.backends.base import Launch, Trained, schedule
from engine.backends.events import LOG
from engine.backends.usage import Meter
from engine.errors import EngineError, StageError
from engine.failures import as_engine_error, first_line

CONFIG = "config.yaml"
OUTPUT = "output"


def train(launch: Launch) -> Trained:
    """Train, or go on from the last complete checkpoint.

    Raises:
        StageError: B411 the trainer failed, B412 no whole checkpoint, B413 it stopped before its time,
            B414 a loss that is not a number.

    """
    output = _prepare(launch)
    resume = events.resume_point(launch, output)
    plan = schedule(
        launch.method,
        train_rows=launch.setting.train_rows,
        validation_rows=launch.setting.validation_rows,
    )
    from engine.runtime import training  # noqa: F401, PLC0415 - torch is imported here and not before

    started = time.monotonic()  # imports are none of training: another stage may have done them
    meter = Meter(began=started, cpu_began=time.process_time())
    telling = events.Telling(launch, plan.steps, meter)
    _run(launch, output, resume, telling)
    seconds = time.monotonic() - started
    return events.trained(launch, telling, output=output, resume=resume, seconds=seconds)


def _run(launch: Launch, output: Path, resume: Path | None, telling: events.Telling) -> None:
    from engine.runtime import training  # noqa: PLC0415 - imported by `train` already

    try:
        training.train(
            yaml.safe_load(launch.config),
            training.Folders(
                rows=launch.rows, base_model=launch.base_model, output=output, resume=resume
            ),
            device=launch.setting.device,
            tell=_logged(launch, telling),
        )
    except EngineError:
        raise
    except Exception as error:
        full = as_engine_error(error, launch.folder)
        if full is not None and full.problems[0].code in ("E740", "E742", "X693"):
            raise full from error
        if full is None and not isinstance(error, RuntimeError | ValueError):
            raise
        raise StageError.one(
            "B411",
            f"trl failed after step {telling.done} of {telling.steps}: {first_line(error)}",
            hint="lower method.micro_batch_size if memory ran out; running again continues "
            "from the last checkpoint",
        ) from error


def _logged(launch: Launch, telling: events.Telling) -> Callable[[Mapping[str, Any]], None]:
    def tell(event: Mapping[str, Any]) -> None:
        with (launch.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(event) + "\n")
        telling.tell(event)

    return tell


def _prepare(launch: Launch) -> Path:
    """Return the output folder; what another config left in it is moved aside, not resumed."""
    launch.folder.mkdir(parents=True, exist_ok=True)
    output, config = launch.folder / OUTPUT, launch.folder / CONFIG
    if config.exists() and config.read_text(encoding="utf-8") != launch.config and output.exists():
        shutil.move(output, launch.folder / f"other-{time.time_ns()}")
    config.write_text(launch.config, encoding="utf-8")
    output.mkdir(exist_ok=True)
    return output
