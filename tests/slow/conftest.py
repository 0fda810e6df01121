"""Whole runs have every processor, as users' runs do."""

from collections.abc import Iterator

import pytest

from support.module_server import AXOLOTL, served
from support.processors import every_processor


@pytest.fixture(scope="module", autouse=True)
def on_every_processor() -> Iterator[None]:
    with every_processor():
        yield


@pytest.fixture
def forked() -> Iterator[None]:
    """Trainings are forked from a process that has imported Axolotl, but a run that is made before for all tests."""
    with served(AXOLOTL):
        yield
