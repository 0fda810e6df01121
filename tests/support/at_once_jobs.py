"""What children of `engine.training.at_once` do in tests: functions of a module, as a pickle names them."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from engine.artifacts.stage import StageContext
from engine.errors import StageError


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


def _begun(context: StageContext) -> Path:
    return context.scratch.parent.parent / "hangs"
