"""Keeping the terminal ours during a run: what libraries and tools print goes to a log instead."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from engine.store.store import storage_problem

QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What libraries read when they are imported; a value that the user has set stays."""


OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""For recipes that name nothing on the hub: libraries then look nothing up there by themselves."""


@contextlib.contextmanager
def others_to(log: Path, *, offline: bool) -> Iterator[TextIO]:
    """The real stderr, while everything else that writes to stdout or stderr writes into `log`.

    Works on file descriptors, so that native code and child processes are caught too. An empty log is removed.
    """
    for name, value in (QUIET | OFFLINE if offline else QUIET).items():
        os.environ.setdefault(name, value)
    with contextlib.ExitStack() as stack:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            target = stack.enter_context(log.open("ab"))
        except OSError as error:
            raise storage_problem(error, log.parent.parent) from error
        terminal = stack.enter_context(_copy_of(sys.stderr))
        stack.callback(_remove_empty, log)
        for stream in (sys.stdout, sys.stderr):
            stack.enter_context(_redirected(stream, target.fileno()))
        yield terminal


def _remove_empty(log: Path) -> None:
    with contextlib.suppress(OSError):
        if log.stat().st_size == 0:
            log.unlink()


def _copy_of(stream: TextIO) -> TextIO:
    """A stream of its own to the same place; `stream` may then be pointed elsewhere."""
    stream.flush()
    return os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding, errors="replace")


@contextlib.contextmanager
def _redirected(stream: TextIO, target: int) -> Iterator[None]:
    number = stream.fileno()
    saved = os.dup(number)
    os.dup2(target, number)
    try:
        yield
    finally:
        stream.flush()
        os.dup2(saved, number)
        os.close(saved)
