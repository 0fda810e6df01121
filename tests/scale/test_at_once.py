"""Seeds and points of a curve, two at once by real trainings: what one after the other leaves, killed or not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.paths import ROOT
from support.pico import make_pico_model
from support.project import Outcome, Project, write_project

pytestmark = pytest.mark.scale
WAIT_SECONDS = 300.0
TIMED = ("train.log", "training.json", "usage.json")
"""Files that hold times, which no two trainings share."""


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    # a copy of the model in the project: nothing outside of it has to be allowed
    command = [sys.executable, "-m", "engine", "run", "recipe.yaml", "--until", "seeds", *words]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)


def run(folder: Path, *words: str) -> Outcome:
    process = start(folder, *words)
    out, _ = process.communicate()
    return Outcome(code=process.returncode, out=out, err="")


def results(folder: Path) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Stage, and name and digest of each file, of every result in the store, by key."""
    found = {}
    for path in (folder / ".recipe" / "store").glob("*/*/artifact.json"):
        fields = json.loads(path.read_text(encoding="utf-8"))
        files = [
            (one["name"], one["sha256"]) for one in fields["files"] if one["name"] not in TIMED
        ]
        found[fields["key"]] = fields["stage"], files
    return found


def _never(*_: str) -> Outcome:
    raise AssertionError


def test_two_at_once_leave_what_one_after_the_other_does_killed_or_not(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "killed")]
    folders[0].mkdir()
    write_project(folders[0], make_pico_model(tmp_path / "model"))
    (folders[0] / "base").unlink()
    shutil.copytree(tmp_path / "model", folders[0] / "base")
    assert run(folders[0], "--until", "evaluate").code == 0
    for folder in folders[1:]:
        shutil.copytree(folders[0], folder)
    for folder in folders:
        Project(folder=folder, run=_never).edit(learning_curve=True, method__seeds=[2, 3])

    first = run(folders[0])
    second = run(folders[1], "--parallel", "2")
    killed = start(folders[2], "--parallel", "2")
    end = time.monotonic() + WAIT_SECONDS
    while len(results(folders[2])) < len(results(folders[0])) - 4 and time.monotonic() < end:
        time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    third = run(folders[2], "--parallel", "2")

    assert (first.code, second.code, third.code, killed.returncode) == (0, 0, 0, -signal.SIGKILL)
    assert {"seed", "resampled"} <= {stage for stage, _ in results(folders[0]).values()}
    assert results(folders[1]) == results(folders[0])
    assert results(folders[2]) == results(folders[0])
