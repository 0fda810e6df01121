"""Forward passes of a model beside each other, each in a thread of its own with its share of the cores.

Between the products of a pass two threads wait for each other a thousand times: on two cores one pass with both takes
longer than one with a single thread. Two passes beside each other wait for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self

import torch

MOST: Final = 4
"""Passes beside each other. Each has logits and states of its own, and all of them wait for one interpreter."""


class Lanes:
    """Runs calls beside each other while its context is open."""

    def __init__(self, device: torch.device) -> None:
        """Divide the threads of a processor; another device computes one call after another."""
        self._threads = torch.get_num_threads()
        self.count = min(self._threads, MOST) if device.type == "cpu" else 1
        self._pool: ThreadPoolExecutor | None = None

    def run[T](self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Return what the calls return, in their order. A single one has all threads."""
        if len(calls) == 1 or self.count == 1:
            return [call() for call in calls]
        if self._pool is None:
            share = self._threads // self.count
            self._pool = ThreadPoolExecutor(
                self.count, initializer=torch.set_num_threads, initargs=(share,)
            )
        futures = [self._pool.submit(_inferring, call) for call in calls]
        # All of them end before one's error is raised: whoever catches it may change the model.
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error
        return [future.result() for future in futures]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            # What a thread sets for itself is also what threads begin with that are started later.
            torch.set_num_threads(self._threads)


def _inferring[T](call: Callable[[], T]) -> T:
    # of each thread by itself
    with torch.inference_mode():
        return call()
