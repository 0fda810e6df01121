"""Going on from the last whole checkpoint; from the one before it where a training cannot begin from that one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.backends import events, trainer_state
from engine.backends.base import Launch, Trained, keeps_best
from engine.backends.usage import Meter
from engine.errors import StageError

Run = Callable[[Path | None, events.Telling], None]
"""Trains from a checkpoint, or from the start; StageError when it fails."""
FAILED = "B411"
"""The code of a trainer that ended with an error of its own."""
NOT_OF_A_CHECKPOINT = (
    "out of memory", "memoryerror", "cannot allocate memory", "can't allocate memory", "sigkill",
    "no space left", "disk quota", "file too large",
)  # fmt: skip
"""In the message of a failure that another checkpoint would not mend."""


@dataclass(slots=True, kw_only=True)
class _Blamed:
    """Checkpoints that a training could not begin from, and the first reason."""

    error: StageError | None = None
    moved: list[tuple[Path, Path]] = field(default_factory=list)
    """Where each stood, and where it is now."""

    def give_back(self) -> None:
        """Put them back: a training from the start failed in the same way, so they are not the cause."""
        for stood, now in self.moved:
            now.rename(stood)


def train_on(
    launch: Launch, output: Path, run: Run, *, cpu_seconds: Callable[[], float]
) -> Trained:
    """Train from the last whole checkpoint in `output`, or from the start.

    A checkpoint that the trainer fails on before the first step is set aside, and the one before it is taken. Where
    a training from the start fails before its first step too, they are put back and the first failure is raised.
    `cpu_seconds` returns what the process that trains has computed before.

    Raises:
        StageError: what `run` raises, and B412-B414, B422 for what it left.

    """
    blamed = _Blamed()
    while True:
        resume = resume_point(launch, output)
        started = time.monotonic()
        telling = events.Telling(launch, Meter(began=started, cpu_began=cpu_seconds()))
        try:
            run(resume, telling)
        except StageError as error:
            if not _is_of_its_beginning(error, telling):
                raise
            blamed.error = blamed.error or error
            if resume is None:
                blamed.give_back()
                raise blamed.error from error
            blamed.moved.append((resume, trainer_state.set_aside(resume)))
            launch.progress.note(f"{resume.name} cannot be trained on, set aside: {_reason(error)}")
            continue
        seconds = time.monotonic() - started
        return events.trained(launch, telling, output=output, resume=resume, seconds=seconds)


def resume_point(launch: Launch, output: Path) -> Path | None:
    """Return the last whole checkpoint, after moving aside those that are not whole; say so."""
    best = keeps_best(launch.method, validation_rows=launch.setting.validation_rows)
    for aside in trainer_state.set_damaged_aside(output, best=best):
        launch.progress.note(f"{aside.name} is set aside: {aside.why}")
    found = trainer_state.checkpoints(output)
    if not found:
        return None
    step, path = found[-1]
    launch.progress.note(f"continuing from step {step}")
    return path


def _is_of_its_beginning(error: StageError, telling: events.Telling) -> bool:
    """Tell whether the trainer failed before its first step, for a reason that a checkpoint can be."""
    message = error.problems[0].message.lower()
    elsewhere = any(word in message for word in NOT_OF_A_CHECKPOINT)
    return error.problems[0].code == FAILED and not telling.done and not elsewhere


def _reason(error: StageError) -> str:
    return error.problems[0].message.splitlines()[0]
