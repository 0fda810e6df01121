"""A whole project on disk: a tiny real model, rows written on the spot, a recipe."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml
from pico import make_pico_model
from project import BASE, Outcome, Project, rows

from engine.cli.main import main


@pytest.fixture(scope="session")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model, made once."""
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


@pytest.fixture
def project(tmp_path: Path, pico: Path, capfd: pytest.CaptureFixture[str]) -> Project:
    """A project whose recipe runs in seconds with the `trl` backend."""
    (tmp_path / "base").symlink_to(pico)
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows(140)])
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(BASE, sort_keys=False), encoding="utf-8")

    def run(*words: str) -> Outcome:
        capfd.readouterr()
        code = main(list(words))
        out, err = capfd.readouterr()
        return Outcome(code=code, out=out, err=err)

    return Project(folder=tmp_path, run=run)
