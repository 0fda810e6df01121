"""One processor for each worker of pytest-xdist, and all of them for what is to run as it does for users."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.environment import detect_device

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
        _run_on(processors)
        yield
        _run_on(before)


def _run_on(processors: set[int]) -> None:
    """Move this process, and whatever it has found out or set of the number of its processors.

    The next whole run of this worker writes that number into its lock, which runs of other workers are held to.
    """
    os.sched_setaffinity(0, processors)
    detect_device.cache_clear()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(len(processors))
