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

settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
"""No test waits for a clock: a busy machine is no failure."""

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell that starts the tests in the background has Ctrl-C ignored, and children inherit that."""

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


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the repository, and none sees colour or a narrow terminal."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LLAMA_CPP_DIR"):
        monkeypatch.delenv(name, raising=False)
