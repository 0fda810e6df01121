"""The tiny model of the contract suites."""

from pathlib import Path

import pytest

from support.pico import make_pico_model


@pytest.fixture(scope="session")
def pico_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")
