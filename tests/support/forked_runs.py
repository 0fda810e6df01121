"""The command in forked processes that are ended from outside: at a moment, at a write, or by a full disk.

A process forks them after it has imported the heavy libraries once (`prepare`), so that a run costs what it does and
not its imports. Linux only: what a killed run leaves alive is seen by being its adopter (PR_SET_CHILD_SUBREAPER).
"""

import ctypes
import errno
import gc
import importlib
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.kill_server import HEAVY

PR_SET_CHILD_SUBREAPER: Final = 36
SERVER: Final = re.compile(r"tests/support/\w+_server\.py")
"""In the command line of a process that outlives the test which started it, and answers others."""
_STANDING: Final[set[int]] = set()
"""Children that stood before a run was begun: they are none of its own."""
POLL: Final = 0.01
MOST_SECONDS: Final = 300.0
MOST_APART: Final = 1.0
"""Seconds between two looks; more are those in which nothing ran."""
WRITES: Final = frozenset(
    {"os.rename", "os.mkdir", "os.link", "os.symlink", "os.remove", "os.rmdir"}
)
GROWS: Final = frozenset({"os.mkdir", "os.link", "os.symlink"})
"""Of these the ones that take space."""
OPENED_TO_WRITE: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT
Setup = Callable[[], object]
"""What a forked process does before it runs the command."""


def prepare() -> None:
    """Import what runs need, and adopt what they leave alive."""
    for name in HEAVY:
        importlib.import_module(name)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    # A fork that collects garbage would copy every page of these libraries.
    gc.collect()
    gc.freeze()


@dataclass(slots=True, kw_only=True)
class Forked:
    """A run in a process, a session and a process group of its own."""

    number: int
    status: int | None = None
    """Its exit code, or the negative number of the signal that ended it; None while it runs."""
    cpu: float = 0.0
    """Seconds of processor time that it took, with helpers that it waited for."""

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end for so long, and tell whether it has ended.

        While this process is stopped (SIGSTOP), as its runs then are too, next to no time passes.
        """
        left, looked = seconds, time.monotonic()
        while self.status is None:
            found, status, used = os.wait4(self.number, os.WNOHANG)
            if found:
                self.status = os.waitstatus_to_exitcode(status)
                self.cpu = used.ru_utime + used.ru_stime
                break
            now = time.monotonic()
            left, looked = left - min(now - looked, MOST_APART), now
            if left <= 0:
                return False
            time.sleep(min(POLL, left))
        return True

    def wait(self) -> int:
        """Wait for its end and return its status; one that never ends is killed."""
        if not self.ends_within(MOST_SECONDS):
            self.kill()
        assert self.status is not None
        return self.status

    def kill(self) -> None:
        """SIGKILL for its whole process group."""
        if self.status is None:
            try:
                os.killpg(self.number, signal.SIGKILL)
            # It has not come to its own group yet, and has started nothing.
            except ProcessLookupError:
                os.kill(self.number, signal.SIGKILL)
            self.ends_within(MOST_SECONDS)


def start(folder: Path, words: list[str], *, setup: Setup = lambda: None) -> Forked:
    """Run the command in `folder`; its output goes to `forked.log` there."""

    def command() -> int:
        from engine.cli.main import main

        return main(words)

    return fork(folder, command, setup=setup)


def fork(folder: Path, work: Callable[[], int], *, setup: Setup = lambda: None) -> Forked:
    """Do some work in a process of its own that stands in `folder`; its status is what the work returns."""
    _STANDING.update(_children())
    # Flushed before the fork, so that nothing stands in a buffer twice.
    sys.stdout.flush()
    sys.stderr.flush()
    number = os.fork()
    if number:
        return Forked(number=number)
    code = 98
    try:
        _enter(folder)
        setup()
        code = work()
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else 1
    except BaseException:  # noqa: BLE001 - shown by the traceback and the code
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _enter(folder: Path) -> None:
    """Take a session, a log and a place for temporary files of one's own, and signals as they are by default."""
    os.setsid()
    log = os.open(folder / "forked.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    # One thread each: on a busy machine threads that wait for each other take most of the time.
    vars(os)["sched_getaffinity"] = lambda _number: {0}
    os.environ["OMP_NUM_THREADS"] = "1"
    # What would be a left-over elsewhere is found here.
    (folder / "temporary").mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "temporary")


def alive(*, seconds: float = 1.0) -> list[str]:
    """Wait for what runs left alive, so long at most; return the command lines of what still lives, and end it.

    Only what was adopted: runs must have ended and been waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        _reap()
        found = [number for number in _children() if number not in _STANDING]
        if not found or time.monotonic() >= deadline:
            break
        time.sleep(POLL)
    lines = [_command_line(number)[-200:] for number in found]
    for number in found:
        os.kill(number, signal.SIGKILL)
    time.sleep(POLL if found else 0)
    _reap()
    return lines


def _reap() -> None:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def _children() -> list[int]:
    """Return what this process has started or adopted, but for the servers that all tests share."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [number for number in map(int, text.split()) if not SERVER.search(_command_line(number))]


def _command_line(number: int) -> str:
    try:
        line = Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode("utf-8", "replace")


def is_write(event: str, arguments: tuple[Any, ...]) -> bool:
    """Tell whether an audit event is of a change of the file system, before it is done."""
    if event == "open":
        return isinstance(arguments[2], int) and bool(arguments[2] & OPENED_TO_WRITE)
    return event in WRITES


def at_write(number: int, act: Callable[[], object]) -> Setup:
    """Return what has `act` called before the write of that number, counted from 1, and all later ones."""

    def setup() -> None:
        seen = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if is_write(event, arguments) and not _is_device(arguments[0]):
                seen += 1
                if seen >= number:
                    act()

        sys.addaudithook(hook)

    return setup


def counted_writes(file: Path) -> Setup:
    """Return what has the number of writes kept in a file, when the process ends."""

    def setup() -> None:
        seen = 0
        handle = os.open(file, os.O_WRONLY | os.O_CREAT)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if is_write(event, arguments) and not _is_device(arguments[0]):
                seen += 1
                os.pwrite(handle, f"{seen}\n".encode(), 0)

        sys.addaudithook(hook)

    return setup


def full_from(number: int) -> Setup:
    """Return what fills the disk from that write on: nothing is made any more, deleting and renaming work."""

    def setup() -> None:
        seen = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if not is_write(event, arguments) or _is_device(arguments[0]):
                return
            seen += 1
            if seen >= number and (event == "open" or event in GROWS):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), arguments[0])

        sys.addaudithook(hook)

    return setup


def _is_device(path: object) -> bool:
    return isinstance(path, str) and path.startswith(("/dev/", "/proc/"))


def kill_group() -> None:
    """SIGKILL for this process and its group."""
    os.killpg(os.getpgid(0), signal.SIGKILL)
    time.sleep(60)
