"""A pytest plugin that writes what each file of tests takes: `pytest --write-durations tests/durations.json`.

By that file `support.longest_first` decides which one goes first; it holds what the first two calls of `just tests`
wrote, each with `--write-durations` to a file of its own.

Counted are seconds of processor time, those of the processes that tests start and wait for included: a busy machine
changes them little, and two cores end a run in about half of their sum. Beside them stand the seconds on the clock.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SLOWEST = 40
"""So many single tests are listed."""
_RECORD = re.compile(r"\{([^{}]+)\}")
_BEFORE = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-durations", type=Path, metavar="FILE", help="measure the tests, write it down"
    )


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("--write-durations")
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Sums(file, config.invocation_params.args))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[_BEFORE] = _processor_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """Keep in the report of a phase, which a worker sends, what the phase took."""
    report: Any = yield
    now = _processor_seconds()
    report.processor_seconds = now - item.stash[_BEFORE]
    item.stash[_BEFORE] = now
    return report


def _processor_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


@dataclass(slots=True)
class _Sum:
    processor: float = 0.0
    clock: float = 0.0
    tests: int = 0

    def add(self, report: pytest.TestReport) -> None:
        self.processor += getattr(report, "processor_seconds", 0.0)
        self.clock += report.duration
        self.tests += report.when == "call"

    def to_json(self) -> dict[str, float]:
        return {
            "processor": round(self.processor, 1),
            "clock": round(self.clock, 1),
            "tests": self.tests,
        }


class _Sums:
    """Adds up what the workers report."""

    def __init__(self, file: Path, words: Sequence[object]) -> None:
        self._file = file
        self._command = " ".join(map(str, ("pytest", *words)))
        self._total = _Sum()
        self._files: defaultdict[str, _Sum] = defaultdict(_Sum)
        self._single: defaultdict[str, _Sum] = defaultdict(_Sum)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._total.add(report)
        self._files[report.nodeid.partition("::")[0]].add(report)
        self._single[report.nodeid].add(report)

    def pytest_sessionfinish(self) -> None:
        slowest = sorted(self._single.items(), key=lambda one: -max(one[1].processor, one[1].clock))
        content = {
            "command": self._command,
            "unit": "seconds",
            "total": self._total.to_json(),
            "files": {name: self._files[name].to_json() for name in sorted(self._files)},
            "slowest": {name: one.to_json() for name, one in slowest[:SLOWEST]},
        }
        text = json.dumps(content, indent=2)
        records = _RECORD.sub(lambda found: f"{{{' '.join(found[1].split())}}}", text)
        self._file.write_text(records + "\n", encoding="utf-8")
