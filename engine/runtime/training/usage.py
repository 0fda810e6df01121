"""What training takes of the machine: its peak of memory and its processor time, measured where it happens.

On a GPU the peak is what torch allocated there; elsewhere it is the largest resident size of the process
since `begin`. Linux can forget an earlier peak; where that is not possible, the peak of the whole process
counts, and `begin` says so.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import torch

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_FORGET_PEAK = "5"
"""Written to `clear_refs`, this sets the peak of the resident size back to what it is now (proc(5))."""


def begin(device: str) -> bool:
    """Forget earlier peaks; False where the process's own peak so far cannot be forgotten."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return True
    try:
        _CLEAR.write_text(_FORGET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def peak_bytes(device: str) -> int:
    """Return the largest memory that was held at once since `begin`."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    found = _status_bytes("VmHWM:")
    return found or _lifetime_peak()


def now_bytes(device: str) -> int:
    """Return the memory that is held now."""
    if device == "cuda":
        return int(torch.cuda.memory_allocated())
    found = _status_bytes("VmRSS:")
    return found or _lifetime_peak()


def _status_bytes(name: str) -> int:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(name)), 0)


def _lifetime_peak() -> int:
    """Kilobytes on Linux, bytes on macOS (getrusage(2) of each)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


class Stopwatch:
    """Wall and processor seconds since the last look."""

    def __init__(self) -> None:
        """Start now."""
        self._wall, self._processor = time.monotonic(), time.process_time()

    def lap(self) -> dict[str, float]:
        """Return the seconds since the last lap, of the wall and of all threads' processors."""
        wall, processor = time.monotonic(), time.process_time()
        seconds_taken = {"seconds": wall - self._wall, "cpu_seconds": processor - self._processor}
        self._wall, self._processor = wall, processor
        return seconds_taken
