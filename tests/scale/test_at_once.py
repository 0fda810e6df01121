"""Seeds and points of a curve, two at once by real trainings: what one after the other leaves, killed or not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.cluster_runs import (
    Results,
    evaluated_once,
    further_trainings,
    others_in_turn,
    results,
)
from support.paths import ROOT
from support.project import Outcome, Project
from support.run_once import RunOnce

pytestmark = pytest.mark.scale
WAIT_SECONDS = 300.0


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "engine", "run", "recipe.yaml", "--until", "seeds", *words]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def evaluated() -> RunOnce:
    return evaluated_once()


@pytest.fixture(scope="module")
def one_after_the_other() -> Results:
    return others_in_turn()


def copied(evaluated: RunOnce, folder: Path) -> Project:
    def by_command(*words: str) -> Outcome:
        process = start(folder, *words)
        process.communicate()
        return Outcome(code=process.returncode, out="", err="")

    return evaluated.copy_to(folder, by_command)


@pytest.mark.thorough  # the next one ends in the same bytes
def test_two_at_once_leave_what_one_after_the_other_does(
    evaluated: RunOnce, one_after_the_other: Results, tmp_path: Path
) -> None:
    """Seeds alone: points of the curve are trained at once by the test below."""
    project = copied(evaluated, tmp_path)
    project.edit(method__seeds=[2, 3])

    ended = project.run("--parallel", "2")

    found = results(tmp_path)
    assert ended.code == 0
    assert {stage for stage, _ in found.values()} >= {"seed", "seeds"}
    assert found.items() <= one_after_the_other.items()


def test_two_at_once_that_are_killed_go_on_to_what_one_after_the_other_leaves(
    evaluated: RunOnce, one_after_the_other: Results, tmp_path: Path
) -> None:
    project = copied(evaluated, tmp_path)
    further_trainings(project)
    killed = start(tmp_path, "--parallel", "2")
    end = time.monotonic() + WAIT_SECONDS
    while len(results(tmp_path)) < len(one_after_the_other) - 4 and time.monotonic() < end:
        time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    assert killed.returncode == -signal.SIGKILL
    assert project.run("--parallel", "2").code == 0
    assert {"seed", "resampled"} <= {stage for stage, _ in one_after_the_other.values()}
    assert results(tmp_path) == one_after_the_other
