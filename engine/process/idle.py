"""Helpers that hang: a process group that neither writes nor computes for so long is not going to.

Processor time is asked, since a converter or a trainer may work for an hour without a word; where the system does not
say it (anything but Linux), nothing is taken for hanging.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

IDLE_SECONDS: Final = 600.0
"""Long enough for a disk that spins up and a network folder that comes back."""
LOOKS: Final = 10
"""At the processor time, within the limit."""
STEP_SECONDS: Final = 2.0
"""The most that counts between two ticks: while this process was stopped itself, nobody could do anything."""
_PROC: Final = Path("/proc")


class HangsError(Exception):
    """A helper has done nothing for as long as it may."""

    def __init__(self, seconds: float) -> None:
        """Say for how long."""
        super().__init__(
            f"did nothing for {seconds / 60:.0f} min: it wrote nothing and computed nothing"
        )


class IdleClock:
    """How long the process group that `session` leads has done nothing."""

    def __init__(self, session: int, *, limit: float = IDLE_SECONDS) -> None:
        """Begin with a group that has just started."""
        self._session, self._limit = session, limit
        self._ticked = time.monotonic()
        self._idle = self._looked = 0.0
        self._computed: int | None = None

    def wrote(self) -> None:
        """Note a sign of life."""
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
    """Return the processor time of a session's processes, in the system's ticks; None where it does not say."""
    found = [line for line in _stats() if line[3] == str(session)]
    # utime, stime, and those of children that were waited for
    return sum(int(number) for line in found for number in line[11:15]) if found else None


def _stats() -> Iterator[list[str]]:
    """Yield the fields of `/proc/N/stat` from the state on, of every process."""
    with contextlib.suppress(OSError):
        for folder in _PROC.iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    # the name before it stands in brackets and may hold anything
                    line = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                    yield line.rpartition(")")[2].split()
