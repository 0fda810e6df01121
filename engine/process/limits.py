"""Limits of time and memory around what somebody else wrote and we have to run: patterns, schemas, templates.

The time is that of this process's processor, so that a busy machine is no reason to stop.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

_STATM: Final = Path("/proc/self/statm")


class TooSlowError(BaseException):
    """What is done within `processor_time` takes longer than it may.

    No `Exception`: jinja, for one, passes over those that come while it computes constants, and begins again.
    """


@contextlib.contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Raise TooSlowError where what is done inside takes more processor time than that.

    Without effect outside the main thread and on Windows, where Python has no timer that interrupts a computation.
    """
    if not _has_timer():
        yield
        return
    # Not SIGALRM, whose only timer belongs to `engine.process.interrupts`.
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
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
    import resource  # not on Windows

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


def _has_timer() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def _stop(_: int, __: FrameType | None) -> None:
    raise TooSlowError
