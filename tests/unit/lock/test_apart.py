"""A run that may not write in its project, and the process that writes its lock: tried in a process of its own."""

import errno
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from engine.lock.lock_process import answer
from engine.process.confine import available
from support.paths import ROOT

TRIALS = """\
import json, os, sys
from contextlib import ExitStack
from engine.values import replace
from pathlib import Path
from engine.lock import lock_process
from engine.lock.file import Lock, Wear, lock_path, read_lock, write_lock
from engine.process.confine import confine_main
from engine.process.policies import rights_of_a_run

recipe, store = Path("recipe.yaml"), Path(".recipe")
lock = Lock(
    recipe="a", draw={}, inputs="0" * 64, drawn_with=None, splits={}, unused=None, firewall=None
)

def tried(call):
    try:
        return call()
    except OSError as error:
        return type(error).__name__

with ExitStack() as held:
    lock_process.begin(lock_path(recipe), held)
    confine_main(rights_of_a_run(
        project=[Path()], reads=[recipe], writes=[store]
    ))
    print(json.dumps({
        "reads a lock that is not there": read_lock(lock_path(recipe)) is None,
        "writes the lock": write_lock(lock_path(recipe), lock),
        "writes the same lock": write_lock(lock_path(recipe), lock),
        "reads what was written": read_lock(lock_path(recipe)) == lock,
        "writes another": write_lock(
            lock_path(recipe), replace(lock, holdout=Wear(looks=3, redraws=0))
        ) and read_lock(lock_path(recipe)).holdout.looks,
        "reads a hidden file": tried(Path(".env").read_text),
        "writes a hook": tried(lambda: Path(".git/hooks/pre-commit").write_text("#!/bin/sh")),
        "changes its rows": tried(lambda: Path("rows.csv").write_text("")),
        "writes beside the recipe": tried(lambda: Path("other.lock.json").write_text("{}")),
        "makes another lock": tried(lambda: write_lock(Path("other.lock.json"), lock)),
        "writes the store": tried(lambda: (store / "x").write_text("x")),
    }))
    child = lock_process.apart_for(lock_path(recipe)).child
    child.send("what ends it\\n")
    assert child.line() == ""
    print(tried(lambda: write_lock(lock_path(recipe), lock)))
"""
EXPECTED: Mapping[str, object] = {
    "reads a lock that is not there": True,
    "writes the lock": True,
    "writes the same lock": False,
    "reads what was written": True,
    "writes another": 3,
    "reads a hidden file": "PermissionError",
    "writes a hook": "PermissionError",
    "changes its rows": "PermissionError",
    "writes beside the recipe": "PermissionError",
    "makes another lock": "PermissionError",
    "writes the store": 1,
}


@cache
def _found() -> tuple[dict[str, object], str, list[str]]:
    # Not in the shared memory, where tests have their folders: a run may write there.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name) / "project"
        for place in (folder / ".recipe", folder / ".git" / "hooks", Path(name) / "temporary"):
            place.mkdir(parents=True)
        for file in ("recipe.yaml", "rows.csv", ".env"):
            (folder / file).write_text("x")
        (folder / f".recipe.lock.json.{'0' * 24}.part").write_text("of a process that was killed")
        ended = subprocess.run(
            [sys.executable, "-P", "-c", TRIALS],
            cwd=folder,
            env={
                "HOME": str(Path(name) / "home"),
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(Path(name) / "temporary"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        left = sorted(path.name for path in folder.iterdir())
    assert ended.returncode == 0, ended.stderr
    found, after = ended.stdout.splitlines()
    return json.loads(found), after, left


@pytest.mark.skipif(not available().landlock, reason="no Landlock here")
@pytest.mark.parametrize("trial", EXPECTED)
def test_a_run_writes_its_lock_and_nothing_else_of_its_project(trial: str) -> None:
    assert _found()[0][trial] == EXPECTED[trial]


@pytest.mark.skipif(not available().landlock, reason="no Landlock here")
def test_nothing_is_left_beside_the_lock_and_a_writer_that_has_ended_is_an_error() -> None:
    _, after, left = _found()

    assert left == [".env", ".git", ".recipe", "recipe.lock.json", "recipe.yaml", "rows.csv"]
    assert after == "BrokenPipeError"


def test_why_nothing_was_written_is_answered_by_number_and_words(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.json").write_bytes(b"\xff")

    assert answer(tmp_path / "absent" / "x.json", {"write": "{}"})["failed"][0] == errno.ENOENT
    assert answer(tmp_path / "folder", {"write": "{}"})["failed"][0] == errno.EISDIR
    assert answer(tmp_path / "latin.json", {"read": True})["failed"] == [errno.EILSEQ, "not UTF-8"]
