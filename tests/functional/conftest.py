"""A whole project on disk: a tiny real model, rows written on the spot, a recipe."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import main
from support.convert_server import served_converter
from support.pico import make_pico_model
from support.project import BASE, Outcome, Project, rows
from support.shared import made_once


@pytest.fixture(scope="session", autouse=True)
def converter() -> Iterator[None]:
    """Whole runs convert by the server; `accepted` and every other session fixture too."""
    with served_converter():
        yield


@pytest.fixture(scope="session")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model, made once."""
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


def write_project(folder: Path, pico: Path, **changes: Any) -> None:
    (folder / "base").symlink_to(pico)
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows(140)])
    fields = {**BASE, **changes}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")


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
def accepted() -> Path:
    """The folder of a project whose whole run was accepted, GGUF and all; never written again."""

    def build(folder: Path) -> None:
        model = make_pico_model(folder.with_name("accepted-base"))
        write_project(folder, model, export={"formats": ["safetensors", "gguf", "ollama"]})
        code = main(["run", str(folder / "recipe.yaml"), "--store", str(folder / ".recipe")])
        assert code == 0

    return made_once("accepted", build)


@pytest.fixture
def finished(accepted: Path, tmp_path: Path, run: Callable[..., Outcome]) -> Project:
    """A copy of the accepted project, in the current folder and free to be broken."""
    shutil.copytree(accepted, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Project(folder=tmp_path, run=run)
