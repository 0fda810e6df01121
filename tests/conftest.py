"""A clean, offline, repeatable environment for every test."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    AXOLOTL_DO_NOT_TRACK="1",
    DO_NOT_TRACK="1",
    OMP_NUM_THREADS="2",
    XDG_STATE_HOME=tempfile.mkdtemp(prefix="recipe-tests-state-"),
)
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
"""No test writes the key of the developer's own stores; commands that tests start inherit the folder."""


def _settings_of_the_tests() -> None:
    """Give the tests, and every process that they start, a user's settings of their own.

    Tests keep recipes, models and data in different temporary folders, and some read the shared data sets: this user
    says that all of the machine is one project. What guards projects is tested by users who say no such thing.
    """
    folder = Path(tempfile.mkdtemp(prefix="recipe-tests-config-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    (folder / "slm-recipe").mkdir()
    (folder / "slm-recipe" / "settings.yaml").write_text("projects: [/]\n", encoding="utf-8")


_settings_of_the_tests()

settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
"""No test waits for a clock: a busy machine is no failure."""

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell that starts the tests in the background has Ctrl-C ignored, and children inherit that."""

pytest.register_assert_rewrite("support")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def shared_data(root: Path) -> Path:
    """Real data sets for development; the test is skipped where they are absent."""
    folder = root.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data sets are not on this machine")
    return folder


@pytest.fixture
def careful_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of a user who has allowed nothing yet; returned is the one that holds them."""
    folder = tmp_path_factory.mktemp("user")
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
    return folder


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the repository, and none sees colour or a narrow terminal."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LLAMA_CPP_DIR"):
        monkeypatch.delenv(name, raising=False)
