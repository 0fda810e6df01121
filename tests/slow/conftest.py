"""Whole runs have every processor, as users' runs do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.module_server import AXOLOTL, served
from support.pico import make_pico_model
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


@pytest.fixture(scope="session")
def pico_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")
