"""Every backend passes the suite; Axolotl's training half runs in `tests/slow`."""

from __future__ import annotations

from engine.backends import BACKENDS
from support.backend_suite import CompileSuite, TrainSuite, finished

__all__ = ["finished"]


class TestAxolotlCompiles(CompileSuite):
    name = "axolotl"


class TestTrlCompiles(CompileSuite):
    name = "trl"


class TestTrlTrains(TrainSuite):
    name = "trl"


def test_no_backend_is_left_out() -> None:
    suites = (TestAxolotlCompiles, TestTrlCompiles)

    assert {suite.name for suite in suites} == set(BACKENDS)
