"""A process that runs verbs, and a project with every file that they read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.forked_verbs import Verbs
from support.hostile_files import make_project


@pytest.fixture(scope="module")
def verbs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verbs]:
    found = Verbs(tmp_path_factory.mktemp("home"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, pico: Path) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "project"
    make_project(folder, pico)
    return folder
