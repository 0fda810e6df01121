"""How long a model is asked: in processor time on a CPU, so that other work on the machine does not count."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Stopwatch:
    """Seconds since it was made."""

    kind: str
    """Of the device: `cpu`, `cuda`, …"""
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        """Start."""
        self._started = self._clock()

    @property
    def _clock(self) -> Callable[[], float]:
        # answers are texts when they come, so nothing is still under way on a GPU
        return time.process_time if self.kind == "cpu" else time.perf_counter

    def seconds(self) -> float:
        """Return the seconds so far."""
        return self._clock() - self._started
