"""Going on from the last whole checkpoint; from the one before it where a training cannot begin from that one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.backends import events, trainer_state
from engine.backends.base import Launch, Trained, keeps_best
from engine.backends.usage import UsageMeter
from engine.errors import StageError, first_line
from engine.failures import NO_MEMORY

Run = Callable[[Path | None, events.TrainingMonitor], None]
"""Trains from a checkpoint, or from the start; StageError when it fails."""
FAILED = "B411"
"""The code of a trainer that ended with an error of its own."""
OTHER_EPOCHS = "B422"
NOT_OF_A_CHECKPOINT = (
    *NO_MEMORY, "memoryerror", "sigkill",
    "no space left", "disk quota", "file too large", "no room on ray", "ray lost a machine",
)  # fmt: skip
"""In the message of a failure that another checkpoint would not mend."""
OF_A_MACHINE = ("sigkill", "ray lost a machine")
"""Of these, what a machine that is lost shows."""
REPEATING = tuple(word for word in NOT_OF_A_CHECKPOINT if word not in OF_A_MACHINE)
"""In the message of a failure that another try would not mend either."""
BROKEN_OFF = ("B411", "B450")
"""A trainer that ended with an error of its own, or hung."""


def train_on(
    launch: Launch, output: Path, run: Run, *, cpu_seconds: Callable[[], float]
) -> Trained:
    """Train from the last whole checkpoint in `output`, or from the start.

    A checkpoint that the trainer fails on before the first step is set aside, and the one before it is taken. Where
    the last try ends before its first step too, they are put back.
    `cpu_seconds` returns what the process that trains has computed before.

    StageError: what `run` raises, and B412-B414, B422 for what it left.
    """
    blamed: list[tuple[Path, Path]] = []
    retries = Retries(left=launch.ranks.retries)
    while True:
        resume = resume_point(launch, output)
        started = time.monotonic()
        monitor = events.TrainingMonitor(launch, UsageMeter(began=started, cpu_began=cpu_seconds()))
        try:
            run(resume, monitor)
        # Ctrl-C too: checkpoints that were set aside without proof must be there for the next run.
        except BaseException as error:
            if resume is not None and _is_of_its_beginning(error, monitor):
                blamed.append((resume, trainer_state.set_aside(resume)))
                launch.progress.note(
                    f"{resume.name} is set aside, it cannot be trained on: {first_line(error)}"
                )
                continue
            if not monitor.done:
                for stood, now in blamed:
                    now.rename(stood)
                blamed.clear()
            if retries.may_help(error, monitor.where):
                launch.progress.note(
                    f"{first_line(error)}: it goes on by itself, {retries.left} more times at most"
                )
                continue
            raise
        seconds = time.monotonic() - started
        try:
            return events.trained(launch, monitor, output=output, resume=resume, seconds=seconds)
        except StageError as error:
            # Resuming from these checkpoints would fail in the same way.
            if error.problems[0].code == OTHER_EPOCHS:
                for _, path in trainer_state.checkpoints(output):
                    trainer_state.set_aside(path)
            raise


@dataclass(slots=True, kw_only=True)
class Retries:
    """How often a training may still go on by itself, and where it broke off."""

    left: int
    broke_off: set[str] = field(default_factory=set)

    def may_help(self, error: BaseException, where: str) -> bool:
        """Take one and return True, unless none is left or the failure would repeat.

        That is one of memory, room or numbers, a training that is not the planned one, and any failure at a place where
        it has failed before.
        """
        if not self.left or not isinstance(error, StageError):
            return False
        problem = error.problems[0]
        message = problem.message.lower()
        repeats = where in self.broke_off or any(word in message for word in REPEATING)
        self.broke_off.add(where)
        if repeats or problem.code not in BROKEN_OFF:
            return False
        self.left -= 1
        return True


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


def _is_of_its_beginning(error: BaseException, monitor: events.TrainingMonitor) -> bool:
    if monitor.done or not isinstance(error, StageError) or error.problems[0].code != FAILED:
        return False
    message = error.problems[0].message.lower()
    return not any(word in message for word in NOT_OF_A_CHECKPOINT)
