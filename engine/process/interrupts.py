"""Being asked to end, by a signal or because nobody reads any more: once, in order, and by force when asked again.

The first SIGINT, SIGTERM, SIGHUP or SIGQUIT raises `Interrupted` in the main thread, where the pipeline records it.
Work that can end better than by an exception runs within `deferred`: it asks `pending` at its own good moments and
has `GRACE_SECONDS` for it; Ctrl-C does not wait for that. The second signal ends the process and all that it started
at once, also while the main thread is inside of C code, as does the first one after `LIMIT_SECONDS`. A signal that
was ignored when the process began (`nohup`) stays ignored.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Final

GRACE_SECONDS: Final = 8.0
"""Seconds for a deferred ending: a container is killed ten seconds after the request to end."""
LIMIT_SECONDS: Final = 60.0
"""Seconds to record finished work; after that, nothing is waited for."""
SAME_SECONDS: Final = 0.5
"""Signals this close together are one request: a terminal that closes hangs up through the kernel and the shell."""
SIGNALS: Final = tuple(map(int, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)))
SIGPIPE: Final = int(signal.SIGPIPE)
"""The signal for an ending because nobody reads the output any more; Python itself ignores it."""


class Interrupted(KeyboardInterrupt):
    """The process was asked to end. A `KeyboardInterrupt`, so that whatever lets Ctrl-C through lets this through."""

    def __init__(self, number: int) -> None:
        super().__init__(name_of(number))
        self.number = number


class _State:
    def __init__(self) -> None:
        self.pending: int | None = None
        self.deferring = 0
        self.timed = False
        self.since = 0.0
        self.terminal: int | None = None
        self.reap: Callable[[], None] = lambda: None


_state = _State()


def name_of(number: int) -> str:
    return signal.Signals(number).name


def number_of(error: KeyboardInterrupt) -> int:
    return error.number if isinstance(error, Interrupted) else int(signal.SIGINT)


def pending() -> int | None:
    return _state.pending


def request(number: int) -> None:
    """Note that this process shall end, without ending anything."""
    # The first request stays, so that the exit code names what ended the work.
    _state.pending = _state.pending or number


def raise_pending() -> None:
    if _state.pending is not None:
        raise Interrupted(_state.pending)


def raise_unless_deferred() -> None:
    if not _state.deferring:
        raise_pending()


def on_force(reap: Callable[[], None]) -> Callable[[], None]:
    _state.reap = reap
    return reap


@contextlib.contextmanager
def shown_on(terminal: int) -> Iterator[None]:
    """Say on this file descriptor that an ending was asked for and takes a moment."""
    before, _state.terminal = _state.terminal, terminal
    try:
        yield
    finally:
        _state.terminal = before


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let a first signal wait for the end of the block, or for `GRACE_SECONDS`; then it is raised."""
    with _holding(timed=True):
        yield
    raise_unless_deferred()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a first signal wait for the end of the block, and do not raise it there: who asks `pending` decides."""
    with _holding(timed=False):
        yield


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within what is uninterrupted, a block that a signal ends at once; one that is pending does so on entering."""
    before = _state.deferring, _state.timed
    try:
        _state.deferring, _state.timed = 0, False
        raise_pending()
        yield
    finally:
        _state.deferring, _state.timed = before


@contextlib.contextmanager
def _holding(*, timed: bool) -> Iterator[None]:
    before = _state.deferring, _state.timed
    _state.deferring, _state.timed = before[0] + 1, timed
    # It may have come in an outer block without a limit of time, where the handler starts no timer.
    if timed and _state.pending is not None:
        _set_timer(GRACE_SECONDS)
    try:
        yield
    finally:
        if timed:
            _set_timer(0.0)
        _state.deferring, _state.timed = before


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Take the signals within the block, in the main thread; elsewhere nothing changes."""
    # Python sets handlers of signals in the main thread only.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # A signal that is ignored (`nohup`), or that the program around us handles itself, is left alone.
    taken = [number for number in SIGNALS if before[number] in _DEFAULTS]
    _state.pending, _state.deferring, _state.timed = None, 0, False
    with _watched():
        # An overdue deferral is raised by our own timer.
        alarm = signal.signal(signal.SIGALRM, lambda _number, _frame: raise_pending())
        for number in taken:
            signal.signal(number, _on_signal)
        try:
            yield
        finally:
            # Stopped before the old handlers come back: by default SIGALRM ends a process.
            _set_timer(0.0)
            for number in taken:
                signal.signal(number, before[number])
            signal.signal(signal.SIGALRM, alarm)
            _state.pending, _state.deferring, _state.timed = None, 0, False


_DEFAULTS: Final = (signal.SIG_DFL, signal.default_int_handler)


def _on_signal(number: int, _frame: FrameType | None) -> None:
    if _state.pending is not None:
        if time.monotonic() - _state.since > SAME_SECONDS:
            end_by_force(_state.pending)
        return
    _state.pending, _state.since = number, time.monotonic()
    if not _state.deferring or (_state.timed and number == signal.SIGINT):
        raise Interrupted(number)
    if _state.timed:
        _set_timer(GRACE_SECONDS)
    _write(f"\n{name_of(number)}: ending in order; a second signal ends at once\n")


_set_timer = partial(signal.setitimer, signal.ITIMER_REAL)


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    reader, writer = os.pipe()
    # Python refuses a wakeup descriptor that blocks: its C handler must never wait for a full pipe.
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_watch, args=(reader,), daemon=True, name="signals")
    thread.start()
    try:
        yield
    finally:
        # First the descriptor is given back: a signal after that must not be written into a closed pipe. Closing the
        # writer then ends the thread, which still reads from the reader.
        signal.set_wakeup_fd(before)
        os.close(writer)
        thread.join()
        os.close(reader)


def _watch(reader: int) -> None:
    first: int | None = None
    since = 0.0
    while True:
        left = None if first is None else max(0.0, since + LIMIT_SECONDS - time.monotonic())
        ready, _, _ = select.select([reader], [], [], left)
        seen = os.read(reader, 64) if ready else b""
        if ready and not seen:
            return
        # Python writes the number of every handled signal here, of the alarm of our own timer too.
        asked = [value for value in seen if value in SIGNALS]
        late = time.monotonic() - since > SAME_SECONDS
        if first is not None and ((asked and late) or not ready):
            end_by_force(first)
        if first is None and asked:
            first, since = asked[0], time.monotonic()


def end_by_force(number: int) -> None:
    """End what was started, say one word, and end the process with the exit code of the signal."""
    _state.reap()
    _write(f"{name_of(number)}: ended at once\n")
    # No exception: the main thread may be inside of C code and would not see one.
    os._exit(128 + number)


def _write(text: str) -> None:
    """Write without buffers, which the interrupted code may be in the middle of using."""
    with contextlib.suppress(Exception):
        fallback = sys.__stderr__.fileno() if sys.__stderr__ else 2
        os.write(fallback if _state.terminal is None else _state.terminal, text.encode())
