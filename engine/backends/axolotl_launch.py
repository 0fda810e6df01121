"""Running Axolotl: a launch folder, a clean environment, a process that cannot outlive us, and proof that it finished.

The launch folder holds `config.yaml`, `train.jsonl`, `validation.jsonl`, `base_model` (a link),
`prepared/`, `output/`, `events.jsonl` (written by our plugin) and `train.log`. It survives a
killed run, and the next attempt goes on in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from engine.backends import events
from engine.backends.base import Launch, Trained, schedule
from engine.backends.events import LOG
from engine.backends.usage import Meter
from engine.errors import StageError

OUTPUT = "output"
EVENTS = "events.jsonl"
CONFIG = "config.yaml"
POLL_SECONDS = 0.3
GRACE_SECONDS = 10.0
TAIL_LINES = 12

KEPT_VARIABLES = frozenset(
    {
        "HOME",
        "LANG",
        "LD_LIBRARY_PATH",
        "LIBRARY_PATH",
        "LOGNAME",
        "PATH",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
    }
)
KEPT_PREFIXES = ("CUDA_", "LC_", "NCCL_", "NVIDIA_", "ROCR_", "HIP_", "SSL_")
SET_VARIABLES: dict[str, str] = {
    "AXOLOTL_DO_NOT_TRACK": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "MKL_DYNAMIC": "FALSE",
    "NO_COLOR": "1",
    "OMP_DYNAMIC": "FALSE",
    "PYTHONUNBUFFERED": "1",
    "PYTHON_DOTENV_DISABLED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "disabled",
}
"""Read by Axolotl and its libraries at import: nothing is sent, nothing is fetched, and the threads are so many."""
THREAD_VARIABLES = ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def train(launch: Launch) -> Trained:
    """Train, or go on from the last complete checkpoint.

    Raises:
        StageError: B411 the process failed, B412-B414 it ended without a finished training.

    """
    prepare(launch)
    output = launch.folder / OUTPUT
    resume = events.resume_point(launch, output)
    plan = schedule(
        launch.method,
        train_rows=launch.setting.train_rows,
        validation_rows=launch.setting.validation_rows,
    )
    started = time.monotonic()
    telling = events.Telling(launch, plan.steps, Meter(began=started))
    code = _run(launch, telling)
    seconds = time.monotonic() - started
    telling.refuse_nonfinite()
    if code != 0:
        raise _failure(code, telling, launch.folder / LOG)
    return events.trained(launch, telling, output=output, resume=resume, seconds=seconds)


def prepare(launch: Launch) -> None:
    """Lay out the launch folder; what another config or other rows left in it is moved aside, not resumed."""
    folder = launch.folder
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / CONFIG
    if config.exists() and config.read_text(encoding="utf-8") != launch.config:
        aside = folder / f"other-{time.time_ns()}"
        aside.mkdir()
        for name in (OUTPUT, "prepared"):
            if (folder / name).exists():
                (folder / name).rename(aside / name)
    config.write_text(launch.config, encoding="utf-8")
    for name in ("train.jsonl", "validation.jsonl"):
        shutil.copyfile(launch.rows / name, folder / name)
    link = folder / "base_model"
    link.unlink(missing_ok=True)
    link.symlink_to(launch.base_model.resolve(), target_is_directory=True)
    (folder / EVENTS).unlink(missing_ok=True)


def environment(launch: Launch) -> dict[str, str]:
    """Return the whole environment of the process: what it needs of ours, and what we decide."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES)
    }
    threads = dict.fromkeys(THREAD_VARIABLES, str(launch.setting.device.threads))
    package_root = str(Path(__file__).resolve().parents[2])
    return {
        **kept,
        **SET_VARIABLES,
        **threads,
        "PYTHONPATH": package_root,
        "HF_HOME": str(launch.folder / "cache"),
        "ACCELERATE_CONFIG_FILE": str(launch.folder / "no-accelerate-config.yaml"),
    }


def _run(launch: Launch, telling: events.Telling) -> int:
    """Run the process to its end, telling progress; whatever ends us ends its whole process group."""
    command = [
        *(sys.executable, "-P", "-m", "engine.backends.axolotl_child"),
        *(str(os.getpid()), CONFIG),
    ]
    with (launch.folder / LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            cwd=launch.folder,
            env=environment(launch),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _follow(process, launch.folder / EVENTS, telling)
    finally:
        _end(process)
    return process.returncode


def _follow(process: subprocess.Popen[bytes], path: Path, telling: events.Telling) -> None:
    """Tell every new event until the process ends, or until a loss is not a number: the rest would be for nothing."""
    news = _EventLog(path)
    while not telling.is_broken:
        ended = process.poll() is not None
        for event in news.read():
            telling.tell(event)
        if ended:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process group to end, then make it; SIGINT is not used, since Axolotl answers it with exit code 0."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _EventLog:
    """The events file, read on from where the last look ended; a line being written is left for the next look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[dict[str, Any]]:
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                whole, newline, _ = stream.read().rpartition(b"\n")
        except OSError:
            return []
        self._offset += len(whole) + len(newline)
        return [json.loads(line) for line in whole.splitlines()]


def _failure(code: int, telling: events.Telling, log: Path) -> StageError:
    ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    tail = "\n".join(tail_of(log))
    return StageError.one(
        "B411",
        f"axolotl {ended} after step {telling.done} of {telling.steps}; "
        f"last lines of its log:\n{tail}",
        hint="lower method.micro_batch_size: the machine ran out of memory"
        if code == -signal.SIGKILL
        else "run the same command again: it continues from the last checkpoint",
    )


def tail_of(log: Path, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """Return the last lines of a log that say something; progress bars count as their final state."""
    text = log.read_bytes()[-65536:].decode("utf-8", errors="replace")
    said = (line.rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return tuple([line[:300] for line in said if line.strip()][-lines:])
