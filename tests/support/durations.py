"""A pytest plugin that writes what each file of tests takes: `pytest --write-durations`.

Counted are seconds of processor time, those of the processes that tests start and wait for included: a busy machine
changes them little, and two cores end a run in about half of their sum.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from support.paths import TESTS

FILE = TESTS / "durations.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-durations", action="store_true", help=f"measure the tests, renew {FILE.name}"
    )


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    if config.getoption("--write-durations") and not is_worker:
        config.pluginmanager.register(_Sums())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[_BEFORE] = _seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    report: Any = yield
    now = _seconds()
    report.processor_seconds = now - item.stash[_BEFORE]
    item.stash[_BEFORE] = now
    return report


_BEFORE = pytest.StashKey[float]()


def _seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


class _Sums:
    """Adds up what the workers report."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.tests: Counter[str] = Counter()
        self.single: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = report.nodeid.partition("::")[0]
        seconds: float = getattr(report, "processor_seconds", 0.0)
        self.seconds[file] += seconds
        self.single[f"{report.nodeid} {report.when}"] += seconds
        self.tests[file] += report.when == "call"

    def pytest_sessionfinish(self) -> None:
        files = {
            file: {"seconds": round(seconds, 1), "tests": self.tests[file]}
            for file, seconds in sorted(self.seconds.items())
        }
        if os.environ.get("DURATIONS_DETAIL"):
            Path(os.environ["DURATIONS_DETAIL"]).write_text(json.dumps(self.single), "utf-8")
        content = {"command": "pytest --write-durations", "unit": "processor seconds"}
        total = {"seconds": round(sum(self.seconds.values()), 1), "tests": self.tests.total()}
        FILE.write_text(json.dumps({**content, "total": total, "files": files}, indent=2) + "\n")
