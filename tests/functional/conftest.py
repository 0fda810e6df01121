"""A whole project on disk: a tiny real model, rows written on the spot, a recipe."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cli.main import main
from support.module_server import CONVERTER, served
from support.pico import make_pico_model
from support.project import Outcome, Project, write_project
from support.run_once import RunOnce, accepted_once


@pytest.fixture(scope="session", autouse=True)
def converter() -> Iterator[None]:
    """Whole runs convert by the server; `accepted` and every other session fixture too."""
    with served(CONVERTER):
        yield


@pytest.fixture(scope="session")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model, made once."""
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own, with the settings of all tests and without a signing key."""
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "slm-recipe" / "settings.yaml"
    folder = tmp_path / "config" / "slm-recipe"
    folder.mkdir(parents=True)
    shutil.copyfile(settings, folder / "settings.yaml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    return folder.parent


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The command, in this process."""

    def run(*words: str) -> Outcome:
        capfd.readouterr()
        code = main(list(words))
        out, err = capfd.readouterr()
        return Outcome(code=code, out=out, err=err)

    return run


@pytest.fixture
def project(tmp_path: Path, pico: Path, run: Callable[..., Outcome]) -> Project:
    """A project whose recipe runs in seconds with the `trl` backend."""
    write_project(tmp_path, pico)
    return Project(folder=tmp_path, run=run)


@pytest.fixture(scope="session")
def accepted_run() -> RunOnce:
    """A project whose whole run was accepted, GGUF and all."""
    return accepted_once()


@pytest.fixture(scope="session")
def accepted(accepted_run: RunOnce) -> Path:
    """The folder of that project; never written again."""
    return accepted_run.folder


@pytest.fixture
def finished(accepted_run: RunOnce, tmp_path: Path, run: Callable[..., Outcome]) -> Project:
    """A copy of the accepted project, in the current folder and free to be broken."""
    return accepted_run.copy_to(tmp_path, run)
