"""Limits of time and memory around what somebody else wrote and we have to run: patterns, schemas, templates."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

_STATM: Final = Path("/proc/self/statm")
_STATUS: Final = Path("/proc/self/status")


def resident_bytes(*, peak: bool) -> int:
    """Return the memory that this process holds, or has held at most; where only that is known, the latter."""
    name = "VmHWM:" if peak else "VmRSS:"
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) << 10
    # Kilobytes on Linux, bytes on macOS (getrusage(2) of each).
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest << 10


class TooSlowError(BaseException):
    """What is done within `processor_time` takes longer than it may.

    No `Exception`: jinja, for one, passes over those that come while it computes constants, and begins again.
    """


@contextlib.contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Raise TooSlowError where what is done inside takes more processor time than that, whatever became of it then.

    A library that is stopped anywhere may fail in its own way: torch, while it changes a mode, with an empty stack.

    Without effect outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_over = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal is_over
        is_over = True
        raise TooSlowError

    # Not SIGALRM, whose only timer belongs to `engine.process.interrupts`.
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    except Exception as error:
        if is_over:
            raise TooSlowError from error
        raise
    else:
        if is_over:
            raise TooSlowError
    finally:
        # The timer goes first: by default the signal ends a process.
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextlib.contextmanager
def more_memory(most: int) -> Iterator[None]:
    """Have MemoryError raised where what is done inside takes so many bytes more; on Linux only."""
    if sys.platform != "linux" or not _STATM.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    # The first field is the whole address space, which RLIMIT_AS counts. The resident size would be far too little.
    wanted = int(_STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize() + most
    # Without a limit the number is -1, which `min` would take.
    known = [limit for limit in (wanted, soft, hard) if limit != resource.RLIM_INFINITY]
    # The hard limit stays: once lowered, a process without privileges cannot raise it again.
    resource.setrlimit(resource.RLIMIT_AS, (min(known), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
