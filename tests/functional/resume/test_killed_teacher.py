"""SIGKILL while a teacher is asked for its probabilities: finished parts are kept, and the bytes are the same."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.training.soft_targets import PART
from support.project import Project
from support.runs import forget, is_whole, report

pytestmark = pytest.mark.thorough


def test_a_teacher_that_was_killed_is_asked_only_what_is_left(
    finished: Project, kill: Callable[..., int]
) -> None:
    root = finished.folder / ".recipe"
    finished.edit(
        teacher={
            "model": {"path": "base"},
            "targets": "soft",
            "stop_if_teacher_is_no_better": False,
        },
        splits__train=80,
    )
    assert finished.run("run", "recipe.yaml", "--until", "soft_targets").code == 0
    uninterrupted = targets(root)
    forget(root, "soft_targets")

    assert kill("soft_targets", after=40) == -signal.SIGKILL
    after = finished.run("run", "recipe.yaml", "--until", "soft_targets")
    asked = report(root)["soft_targets"]

    assert after.code == 0, after.err
    assert 0 < asked["asked"] <= 80 - PART
    assert asked["rows"] == 80
    assert targets(root) == uninterrupted
    assert is_whole(root)


def targets(root: Path) -> bytes:
    files = (root / "store").rglob("targets.safetensors")
    [whole] = [file for file in files if (file.parent / "soft_targets.json").exists()]
    return whole.read_bytes()
