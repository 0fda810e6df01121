"""A pico model that speaks, and a progress that keeps what it is given."""

from pathlib import Path

import pytest

from engine.environment import Device
from engine.runtime.models.load import LoadedModel, load_model
from support.pico import make_pico_model

CPU = Device(kind="cpu", name="test", memory_bytes=0, cores=2, bf16=False)


class RecordedProgress:
    """Takes progress and keeps it."""

    def __init__(self) -> None:
        self.updates: list[tuple[int, int]] = []

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        self.updates.append((done, total))

    def note(self, text: str) -> None:
        """Nothing to keep."""


@pytest.fixture
def progress() -> RecordedProgress:
    return RecordedProgress()


@pytest.fixture(scope="session")
def cpu() -> Device:
    return CPU


@pytest.fixture(scope="session")
def pico_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


@pytest.fixture(scope="session")
def pico(pico_folder: Path) -> LoadedModel:
    return load_model(pico_folder, device=CPU, precision="fp32")
