"""What children of `engine.training.at_once` do in tests: functions of a module, as a pickle names them."""

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from engine.artifacts.stage import StageContext
from engine.errors import StageError
from engine.process import interrupts
from engine.progress import MeasuredProgress
from engine.store import DamagedError


def square(number: int, context: StageContext) -> int:
    """Leave the square of a number, and by which process on which processors it was made."""

    def build(folder: Path) -> None:
        context.progress.update(1, 2, "steps")
        context.progress.note(f"{number} is squared")
        (folder / "square").write_text(str(number * number), encoding="utf-8")
        left = context.scratch.parent.parent
        (left / f"by-{number}").write_text(str(os.getpid()), "utf-8")
        if sys.platform == "linux":
            (left / f"on-{number}").write_text(json.dumps([*os.sched_getaffinity(0)]), "utf-8")

    made = context.cached("square", {"of": number}, build)
    return int(made.file("square").read_text(encoding="utf-8"))


def fail(context: StageContext) -> int:
    """End with an error for the user."""

    def build(_: Path) -> None:
        raise StageError.one("B414", "the loss is no number", hint="lower it", path="method.rank")

    return len(context.cached("bad", {"of": "fail"}, build).files)


def save_when_asked(number: int, context: StageContext) -> int:
    """Go on until it is asked to end, and then take a second for a checkpoint, as a training does."""

    def build(_: Path) -> None:
        with interrupts.deferred():
            _begun(context, number).touch()
            while interrupts.pending() is None:
                time.sleep(0.02)
            time.sleep(1.0)
            _saved(context, number).touch()

    return len(context.cached("bad", {"of": f"saving {number}"}, build).files)


def fail_beside_two_that_save(context: StageContext) -> int:
    """Fail once both of the others have begun."""

    def build(_: Path) -> None:
        while not all(_begun(context, number).exists() for number in (1, 2)):
            time.sleep(0.02)
        raise StageError.one("B414", "the loss is no number")

    return len(context.cached("bad", {"of": "fail beside two"}, build).files)


def meet_damage(context: StageContext) -> int:
    """Find that a result which it needs cannot be read."""

    def build(_: Path) -> None:
        needed = context.cached("square", {"of": 3}, lambda _: None)
        raise DamagedError(needed, "`square` cannot be read")

    return len(context.cached("bad", {"of": "damage"}, build).files)


def see(name: str, context: StageContext) -> str:
    """Return what a variable of the process holds."""

    def build(folder: Path) -> None:
        (folder / "value").write_text(os.environ.get(name, ""), encoding="utf-8")

    made = context.cached("seen", {"name": name}, build)
    return made.file("value").read_text(encoding="utf-8")


def leave(context: StageContext) -> str:
    """Leave a temporary folder, as libraries do that clear up at the end of Python, and return its path."""

    def build(folder: Path) -> None:
        (folder / "path").write_text(tempfile.mkdtemp(), encoding="utf-8")

    return context.cached("left", {}, build).file("path").read_text(encoding="utf-8")


def measure(context: StageContext) -> int:
    """Tell what a step has measured, as a training does, and remark on its result."""
    if isinstance(context.progress, MeasuredProgress):
        context.progress.measured(1, 2, {"loss": 0.5}, of="seed 7")
    made = context.cached("measured", {"of": 7}, lambda folder: (folder / "one").touch())
    context.progress.note("2 rows were cut")
    return len(made.files)


def fail_unexpectedly(context: StageContext) -> int:
    """End as only a mistake of the engine does."""

    def build(_: Path) -> None:
        raise AssertionError(context.key)

    return len(context.cached("bad", {"of": "mistake"}, build).files)


def die(context: StageContext) -> int:
    """End as a process that the system kills."""

    def build(_: Path) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return len(context.cached("bad", {"of": "death"}, build).files)


def hang(context: StageContext) -> int:
    """Say that it began, and go on until it is ended."""

    def build(_: Path) -> None:
        _begun(context).write_text(str(os.getpid()), encoding="utf-8")
        context.progress.update(0, 0, "begun")
        time.sleep(600)

    return len(context.cached("bad", {"of": "hanging"}, build).files)


def fail_beside_one_that_hangs(context: StageContext) -> int:
    """Fail once the other one has begun."""

    def build(_: Path) -> None:
        while not _begun(context).exists():
            time.sleep(0.02)
        raise StageError.one("B414", "the loss is no number")

    return len(context.cached("bad", {"of": "fail beside"}, build).files)


def _begun(context: StageContext, number: int = 0) -> Path:
    return context.scratch.parent.parent / f"hangs{number or ''}"


def _saved(context: StageContext, number: int) -> Path:
    return context.scratch.parent.parent / f"saved-{number}"
