"""What a training tells while it runs (`engine.runtime.watch`), passed on to progress and remembered as facts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.backends import trainer_state
from engine.backends.base import Launch, Trained, keeps_best
from engine.backends.usage import Meter
from engine.errors import StageError

LOG = "train.log"
"""In the launch folder."""
NAMES = {"loss": "loss", "eval_loss": "validation"}
"""What people are shown of the numbers."""


class Telling:
    """Takes events in order; knows how far training is, what was measured, and whether a number was none."""

    def __init__(self, launch: Launch, steps: int, meter: Meter) -> None:
        """Tell of a training of so many steps."""
        self.steps = steps
        self.meter = meter
        self.done = 0
        self._progress = launch.progress
        self._batch_size = launch.method.batch_size
        self._facts: dict[str, Any] = {}
        self._numbers: dict[str, str] = {}
        self._nonfinite: Mapping[str, Any] | None = None
        self._first: tuple[float, int] | None = None

    @property
    def is_broken(self) -> bool:
        """A loss was not a number: going on is for nothing."""
        return self._nonfinite is not None

    @property
    def facts(self) -> dict[str, Any]:
        """What was measured. StageError B412 when training never started."""
        if "trainable_parameters" not in self._facts:
            raise StageError.one("B412", "the trainer ended without having started to train")
        return self._facts

    def tell(self, event: Mapping[str, Any]) -> None:
        """Take one event."""
        kind = event["event"]
        self.meter.take(event)
        if kind == "start":
            self._facts |= event
        elif kind == "nonfinite":
            self._nonfinite = event
        elif kind == "step":
            self._step(int(event["step"]))
        elif kind == "log":
            self._facts |= {key: event[key] for key in ("product_dtype",) if key in event}
            self._numbers |= {NAMES[key]: f"{event[key]:.3g}" for key in NAMES if key in event}

    def refuse_nonfinite(self) -> None:
        """Raise StageError B414 when a loss or gradient was not a number."""
        event = self._nonfinite
        if event is not None:
            name = next(key for key in ("loss", "eval_loss", "grad_norm") if key in event)
            raise trainer_state.nonfinite(name, event[name], int(event["step"]))

    def _step(self, step: int) -> None:
        self.done = step
        now = time.monotonic()
        self._first = self._first or (now, step)
        began, began_step = self._first
        rate = {}
        if step > began_step and now > began:
            rows = (step - began_step) * self._batch_size / (now - began)
            rate = {"rows_per_second": f"{rows:.2g}"}
        self._progress.update(step, self.steps, "step", **self._numbers, **rate)


def resume_point(launch: Launch, output: Path) -> Path | None:
    """Return the last whole checkpoint, after moving aside those that were not wholly written; say so."""
    for path in trainer_state.set_incomplete_aside(output):
        launch.progress.note(f"{path.name.rpartition('-')[0]} was not wholly written, set aside")
    found = trainer_state.checkpoints(output)
    if not found:
        return None
    step, path = found[-1]
    launch.progress.note(f"continuing from step {step}")
    return path


def trained(
    launch: Launch, telling: Telling, *, output: Path, resume: Path | None, seconds: float
) -> Trained:
    """Return what training left, once `output` proves that it finished. StageError B412-B414."""
    telling.refuse_nonfinite()
    best = keeps_best(launch.method, validation_rows=launch.setting.validation_rows)
    ending = trainer_state.judge_ending(output, launch.method, steps=telling.steps, best=best)
    facts = telling.facts
    return Trained(
        folder=ending.kept,
        log=launch.folder / LOG,
        steps=ending.steps,
        epochs=ending.epochs,
        seconds=seconds,
        kept_step=ending.kept_step,
        stopped_early=ending.stopped_early,
        resumed_from_step=trainer_state.step_of(resume) if resume else None,
        trainable_parameters=facts["trainable_parameters"],
        total_parameters=facts["total_parameters"],
        history=ending.history,
        facts=facts,
        checkpoints=trainer_state.kept_adapters(output, last=ending.steps),
        usage=telling.meter.usage,
    )
