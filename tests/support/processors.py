"""One processor for each worker of pytest-xdist, and all of them for what is to run as it does for users."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

VARIABLE = "RECIPE_TESTS_PROCESSORS"


def take_a_processor() -> None:
    """Give each worker one processor: libraries then start one thread, and none waits for another."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None or not hasattr(os, "sched_setaffinity"):
        return
    processors = sorted(os.sched_getaffinity(0))
    if int(os.environ["PYTEST_XDIST_WORKER_COUNT"]) <= len(processors):
        os.environ[VARIABLE] = ",".join(map(str, processors))
        os.sched_setaffinity(0, {processors[int(worker.removeprefix("gw"))]})
        os.environ["OMP_NUM_THREADS"] = "1"


@contextmanager
def every_processor() -> Iterator[None]:
    """Have the processes that are started meanwhile run on every processor that the tests were given."""
    if VARIABLE not in os.environ:
        yield
        return
    processors = {int(number) for number in os.environ[VARIABLE].split(",")}
    before = os.sched_getaffinity(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", str(len(processors)))
        os.sched_setaffinity(0, processors)
        yield
        os.sched_setaffinity(0, before)
