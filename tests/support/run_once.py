"""A project that is run once for all workers of a test run, and what was seen meanwhile."""

import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from support.pico import make_pico_model
from support.project import Outcome, Project, write_project
from support.shared import made_once

Watch = Callable[[pytest.MonkeyPatch], Any]
"""Patches what is to be watched, and returns what the run fills: JSON data, kept when it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOnce:
    """A project after its run; nobody may change it."""

    folder: Path
    outcome: Outcome
    seen: Any
    """What its watch has seen."""

    def copy_to(self, folder: Path, run: Callable[..., Outcome]) -> Project:
        """A project that a test may run again and break."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Project(folder=folder, run=run)


def run_once(
    name: str,
    prepare: Callable[[Project], object],
    *words: str,
    start: RunOnce | None = None,
    watch: Watch = lambda _: None,
) -> RunOnce:
    """Run the project that `prepare` makes of the usual one or of `start`, in this worker or in another."""

    def build(made: Path) -> None:
        folder = made / "project"
        if start:
            project = start.copy_to(folder, _not_yet)
        else:
            folder.mkdir()
            write_project(folder, make_pico_model(made / "model"))
            project = Project(folder=folder, run=_not_yet)
        prepare(project)
        with (
            pytest.MonkeyPatch.context() as patch,
            (made / "out").open("w", encoding="utf-8") as out,
            (made / "err").open("w", encoding="utf-8") as err,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            seen = watch(patch)
            store = ("--store", str(folder / ".recipe"))
            code = main(["run", str(folder / "recipe.yaml"), *store, *words])
        found = {"code": code, "seen": seen}
        (made / "found.json").write_text(json.dumps(found), encoding="utf-8")

    made = made_once(f"run-{name}", build)
    found = json.loads((made / "found.json").read_text(encoding="utf-8"))
    out, err = ((made / stream).read_text(encoding="utf-8") for stream in ("out", "err"))
    outcome = Outcome(code=found["code"], out=out, err=err)
    return RunOnce(folder=made / "project", outcome=outcome, seen=found["seen"])


def accepted_once() -> RunOnce:
    """The project whose whole run was accepted, GGUF and all: the one that most tests look at or copy."""
    formats = {"formats": ["safetensors", "gguf", "ollama"]}
    done = run_once("accepted", lambda project: project.edit(export=formats))
    assert done.outcome.code == 0, done.outcome.err
    return done


def _not_yet(*words: str) -> Outcome:
    raise AssertionError(f"the project is being prepared, and {words} come before its run")
