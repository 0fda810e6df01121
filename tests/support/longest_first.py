"""A pytest plugin for pytest-xdist: a file of tests goes to one worker, and the files that take longest go first.

What is made for the tests of a file is then made once, and at the end no worker is left alone with much to do. How
long files take stands in `tests/durations.json`.
"""

import json
import math

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from support.paths import TESTS


class LongestFirst(LoadFileScheduling):  # type: ignore[misc]  # xdist is untyped here
    """Gives a worker that asks for more the longest file that waits; one that was never measured may be long."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        content = json.loads((TESTS / "durations.json").read_text(encoding="utf-8"))
        self._seconds = {file: took["clock"] for file, took in content["files"].items()}

    def _assign_work_unit(self, node: WorkerController) -> None:
        longest = max(
            self.workqueue,
            key=lambda name: self._seconds.get(name, math.inf),
        )
        self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LongestFirst | None:
    return LongestFirst(config, log) if config.getoption("dist") == "loadfile" else None
