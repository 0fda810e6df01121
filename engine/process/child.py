"""A process that the engine has started, with its group: read, waited for and ended; and whether it hangs."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Self

from engine.process import interrupts

IDLE_SECONDS: Final = 600.0
"""Long enough for a disk that spins up and a network folder that comes back."""
LOOKS: Final = 10
"""Checks of the processor time, within the limit."""
STEP_SECONDS: Final = 2.0
"""The most that counts between two ticks: while this process was stopped itself, nobody could do anything."""
GRACE_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
IDLE_POLL_SECONDS: Final = 1.0
"""Seconds between two checks of a child that writes nothing."""
_PROC: Final = Path("/proc")


class HangsError(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"did nothing for {seconds / 60:.0f} min: it wrote nothing and computed nothing"
        )


class IdleClock:
    """How long the process group led by `session` has been idle."""

    def __init__(self, session: int, *, limit: float = IDLE_SECONDS) -> None:
        self._session, self._limit = session, limit
        self._ticked = time.monotonic()
        self._idle = self._looked = 0.0
        self._computed: int | None = None

    def wrote(self) -> None:
        self._idle = self._looked = 0.0

    def tick(self) -> None:
        """Note that it wrote nothing since the last call. HangsError once that is for too long."""
        now = time.monotonic()
        self._idle += min(now - self._ticked, STEP_SECONDS, self._limit / LOOKS)
        self._ticked = now
        if self._idle - self._looked < self._limit / LOOKS:
            return
        self._looked = self._idle
        computed = processor_time(self._session)
        if computed is None or computed != self._computed:
            self._computed = computed
            self.wrote()
        elif self._idle >= self._limit:
            raise HangsError(self._idle)


def processor_time(session: int) -> int | None:
    """Return the processor time of all processes of a session; None where there is none, or the system has no list."""
    times: list[int] = []
    for file in _PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # the name of the program is in brackets and may hold anything
            numbers = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if numbers[3] == str(session):
                # utime, stime, and those of children that were waited for
                times += map(int, numbers[11:15])
    return sum(times) if times else None


class Child:
    """A process that was started by these rules, with its whole group; ended when its context is left."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def number(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int:
        """The exit code, or the negative number of the signal that ended it. Only once it has been collected."""
        if self._process.returncode is None:
            raise AssertionError(self._process.args)
        return self._process.returncode

    def send(self, text: str) -> None:
        stream = self._process.stdin
        if stream is None:
            raise AssertionError(self._process.args)
        stream.write(text.encode("utf-8"))
        stream.flush()

    def close_input(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def line(self) -> str:
        stream = self._process.stdout
        found: bytes = stream.readline() if stream is not None else b""
        return found.decode("utf-8", errors="replace").rstrip("\r\n")

    def lines(self, *, idle: float = IDLE_SECONDS) -> Iterator[str]:
        """Yield the lines of its output as they come, without line ends.

        HangsError once its group has neither written nor computed anything for `idle` seconds.
        """
        stream = self._process.stdout
        for line in () if stream is None else self._read(stream, idle):
            yield line.decode("utf-8", errors="replace").rstrip("\r\n")

    def _read(self, stream: IO[bytes], idle: float) -> Iterator[bytes]:
        clock, parts = IdleClock(self.number, limit=idle), list[bytes]()
        while True:
            if not select.select([stream], [], [], min(IDLE_POLL_SECONDS, idle / LOOKS))[0]:
                clock.tick()
                continue
            clock.wrote()
            # not `readline`: half a line must not keep us from looking at the clock
            found = os.read(stream.fileno(), 1 << 16)
            parts.append(found)
            # joined once a line: some are of a hundred megabytes
            if found and b"\n" not in found:
                continue
            *whole, rest = b"".join(parts).split(b"\n")
            parts = [rest]
            yield from whole
            if not found:
                if rest:
                    yield rest
                return

    def has_ended(self, *, within: float = 0.0) -> bool:
        """Return whether it has ended, after waiting for that long; it is not collected yet, so its group is known."""
        deadline = time.monotonic() + within
        while not _has_ended(self._process):
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(POLL_SECONDS, within))
        return True

    def wait(self) -> int:
        """Wait for its end, end what it left running, and return its status."""
        if self._process.returncode is None:
            if hasattr(os, "waitid"):
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            else:
                self._process.wait()
        return self.kill()

    def stop(self, *, grace: float = GRACE_SECONDS) -> int:
        if not self.has_ended():
            self.signal(signal.SIGTERM)
            self.has_ended(within=grace)
        return self.kill()

    def kill(self) -> int:
        if self._process.returncode is None:
            self.signal(signal.SIGKILL)
        return self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the group, whose number nobody else can have before the child is collected."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def end_input(self) -> None:
        """Give it nothing more to read, and wait until it has ended for that."""
        self._close()
        self._process.wait()

    def __enter__(self) -> Self:
        _running.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        # Not before it has ended: a second signal to us has to find it here.
        _running.discard(self)
        self._close()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            # what it did not read any more is lost
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()


_running: set[Child] = set()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # macOS has no such call before Python 3.13
    if process.returncode is not None or not hasattr(os, "waitid"):
        return process.poll() is not None
    # Not collected (WNOWAIT): until then no other process can get its number, so its group can be signalled.
    flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
    return os.waitid(os.P_PID, process.pid, flags) is not None


@interrupts.on_force
def _kill_all() -> None:
    # A copy: the thread that watches signals may run this while the main thread starts a child.
    for child in list(_running):
        child.signal(signal.SIGKILL)
