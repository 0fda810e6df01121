"""No process that a command starts outlives it, however the command ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from engine.process.start import OWN_COMMAND
from support.paths import ROOT, TESTS
from support.project import Project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has subreapers")


def outlived(
    project: Project, *words: str, number: int = 0, at: str = "", **variables: str
) -> Mapping[str, Any]:
    """How a command ended, what it started, and what of that was still there afterwards."""
    script = str(TESTS / "support" / "outlived.py")
    done = subprocess.run(
        [sys.executable, "-P", script, str(number), at, *OWN_COMMAND, *words],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("words", "number", "label", "code"),
    [
        (["--until", "data"], 0, "label", 0),
        ([], 0, "absent", 3),
        ([], signal.SIGINT, "label", 130),
        ([], signal.SIGTERM, "label", 143),
        ([], signal.SIGKILL, "label", -9),
    ],
    ids=["to its end", "with an error", "SIGINT", "SIGTERM", "SIGKILL"],
)
def test_nothing_outlives_a_run(
    project: Project, words: list[str], number: int, label: str, code: int
) -> None:
    project.edit(data__label__column=label)
    # Of a user without any bytecode, which is then made.
    cache = {"PYTHONPYCACHEPREFIX": "", "XDG_CACHE_HOME": str(project.folder / "cache")}

    found = outlived(
        project, "run", "recipe.yaml", *words, number=number, at="20 validation", **cache
    )

    assert found["code"] == code
    for child in ("engine.process.bytecode", "engine.lock.lock_process"):
        assert any(child in line for line in found["seen"])
    assert found["left"] == []


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_training(project: Project, number: int) -> None:
    project.edit(backend__name="axolotl", baselines=["majority"], method__epochs=50)

    found = outlived(project, "run", "recipe.yaml", number=number, at="step")

    assert any("engine.backends.training_process" in line for line in found["seen"])
    assert found["left"] == []
