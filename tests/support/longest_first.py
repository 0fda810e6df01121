"""A pytest plugin for pytest-xdist: a file of tests goes to one worker, and the files that take longest go first.

What is made for the tests of a file is then made once, and at the end no worker is left alone with much to do. How
long files take stands in `tests/durations.json`, and what their slow tests take in `tests/durations-slow.json`.
"""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from support.paths import TESTS


class LongestFirst(LoadFileScheduling):  # type: ignore[misc]  # xdist is untyped here
    """Gives a worker that asks for more the longest file that waits; one that was never measured may be long."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        marks = config.getoption("markexpr")
        self._seconds: Counter[str] = Counter()
        if marks != "slow":
            self._seconds.update(_seconds("durations.json"))
        if marks == "slow" or "not slow" not in marks:
            self._seconds.update(_seconds("durations-slow.json"))

    def _assign_work_unit(self, node: WorkerController) -> None:
        longest = max(
            self.workqueue,
            key=lambda name: self._seconds.get(name, math.inf),
        )
        self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)


def _seconds(name: str) -> dict[str, float]:
    files = json.loads((TESTS / name).read_text(encoding="utf-8"))["files"]
    return {file: took["clock"] for file, took in files.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LongestFirst | None:
    return LongestFirst(config, log) if config.getoption("dist") == "loadfile" else None
