"""Keeping the terminal ours during a run: what libraries and tools print goes to a log, and they ask nobody."""

import contextlib
import errno
import io
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TextIO

from engine.cli.terminal import point_at_nothing
from engine.files import leases
from engine.files.writing import open_new
from engine.process import interrupts
from engine.sources.hub import quieten
from engine.store.store import storage_problem


@contextlib.contextmanager
def others_to(log: Path) -> Iterator[TextIO]:
    """The real stderr, while everything else that writes to stdout or stderr writes into `log` and reads nothing.

    Works on file descriptors, so that native code and child processes are caught too. An empty log is removed.
    """
    quieten()
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(_new_log(log))
        # Before stderr itself is pointed at the log.
        terminal = stack.enter_context(_copy_of(sys.stderr))
        stack.enter_context(interrupts.shown_on(terminal.fileno()))
        stack.enter_context(_nothing_to_read())
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stack.enter_context(_redirected(stream, target.fileno()))
        yield terminal


class Terminal(io.TextIOWrapper):
    """A stream that people look at. Where nobody reads it any more the run is asked to end; a full one is let be."""

    def write(self, text: str) -> int:
        self._try(lambda: super(Terminal, self).write(text))
        return len(text)

    def flush(self) -> None:
        self._try(super().flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            self._to_nothing()
            interrupts.request(interrupts.SIGPIPE)
            if threading.current_thread() is threading.main_thread():
                interrupts.raise_unless_deferred()
        except OSError:
            self._to_nothing()

    def _to_nothing(self) -> None:
        with contextlib.suppress(OSError):
            point_at_nothing(self.fileno())


@contextlib.contextmanager
def _new_log(log: Path) -> Iterator[IO[bytes]]:
    """Open a log that was not there, and delete it where it stays empty.

    One without a name where the store cannot be written: a stage that has to run tells of that.
    """
    root = log.parent.parent
    # A name that is taken is never opened, since it may be a link to another file.
    for path in (log, log.with_name(f"{log.stem}-{secrets.token_hex(4)}{log.suffix}")):
        try:
            stream = open_new(path, below=root)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise storage_problem(error, root) from error
            with tempfile.TemporaryFile() as unnamed:
                yield unnamed
            return
        with stream:
            leases.hold(stream.fileno())
            yield stream
            is_empty = os.fstat(stream.fileno()).st_size == 0
        if is_empty:
            with contextlib.suppress(OSError):
                path.unlink()
        return
    raise AssertionError(log.name)


def _copy_of(stream: TextIO | None) -> TextIO:
    """A stream of its own to the same place, or to nothing; `stream` may then be pointed elsewhere."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - closed by the caller
    stream.flush()
    raw = os.fdopen(os.dup(stream.fileno()), "wb")
    # A character that the terminal's encoding lacks must not end a run.
    return Terminal(raw, encoding=stream.encoding, errors="replace", line_buffering=True)


@contextlib.contextmanager
def _nothing_to_read() -> Iterator[None]:
    """Let no library's question be answered: standard input is empty."""
    before = sys.stdin
    with (
        open(os.devnull, encoding="utf-8") as nothing,  # noqa: PTH123 - a device
        _pointed(0, nothing.fileno()),
    ):
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before


@contextlib.contextmanager
def _redirected(stream: TextIO, target: int) -> Iterator[None]:
    # What was printed before belongs to the old place, what was printed since to the new one.
    _flush(stream)
    with _pointed(stream.fileno(), target):
        try:
            yield
        finally:
            _flush(stream)


@contextlib.contextmanager
def _pointed(number: int, target: int) -> Iterator[None]:
    saved = os.dup(number)
    os.dup2(target, number)
    try:
        yield
    finally:
        os.dup2(saved, number)
        os.close(saved)


def _flush(stream: TextIO) -> None:
    # A full disk is reported where results are written.
    with contextlib.suppress(OSError):
        stream.flush()
