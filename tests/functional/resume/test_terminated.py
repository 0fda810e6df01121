"""SIGTERM, SIGHUP and SIGQUIT: exit code of the signal, a word, a run folder that says so, and the next run goes on."""

import json
import signal
from collections.abc import Callable

import pytest

from support.project import Project
from support.runs import (
    PLAIN,
    adapter_digests,
    forget,
    is_whole,
    left_behind,
    only,
    report,
    run_folders,
    statuses,
)

pytestmark = pytest.mark.thorough

Kill = Callable[..., int]


def _log(project: Project) -> str:
    return (project.folder / "dead.log").read_text(encoding="utf-8")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("stage", PLAIN)
def test_a_run_terminated_in_a_stage_says_so_and_is_continued(
    finished: Project, kill: Kill, stage: str
) -> None:
    root = finished.folder / ".recipe"
    forget(root, stage, with_products=stage not in ("quantize", "verify"))

    assert kill(stage, number=signal.SIGTERM) == 143
    found = report(root)
    assert found["outcome"] == "interrupted"
    assert statuses(root)[stage] == "interrupted"
    assert f"interrupted in stage {stage} by SIGTERM" in _log(finished)
    assert is_whole(root)
    assert left_behind(root) == []

    assert finished.run("run", "recipe.yaml").code == 0
    assert statuses(root) == only(stage)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGHUP, 129), (signal.SIGQUIT, 131), (signal.SIGINT, 130)]
)
def test_every_signal_that_ends_has_its_own_exit_code(
    finished: Project, kill: Kill, number: int, code: int
) -> None:
    root = finished.folder / ".recipe"
    forget(root, "evaluate", with_products=False)

    assert kill("evaluate", number=number) == code
    assert report(root)["outcome"] == "interrupted"
    assert finished.run("run", "recipe.yaml").code == 0


def test_a_training_that_is_terminated_saves_at_once_and_ends_with_the_same_weights(
    finished: Project, kill: Kill
) -> None:
    root = finished.folder / ".recipe"
    uninterrupted = adapter_digests(root)
    losses = [point["loss"] for point in report(root)["training"]["history"] if point["loss"]]
    forget(root, "train")

    assert kill("train", after=13, number=signal.SIGTERM) == 143
    assert statuses(root)["train"] == "interrupted"
    assert list((root / "scratch").glob("*/output/checkpoint-13"))

    assert finished.run("run", "recipe.yaml").code == 0
    training = report(root)["training"]
    assert training["resumed_from_step"] == 13
    assert [point["loss"] for point in training["history"] if point["loss"]] == losses
    assert adapter_digests(root) == uninterrupted


@pytest.mark.sampled(3)
@pytest.mark.parametrize("moment", ["plan", "lock", "report"])
def test_a_signal_between_stages_or_after_them_is_followed_too(
    finished: Project, kill: Kill, moment: str
) -> None:
    root = finished.folder / ".recipe"
    lock = finished.folder / "recipe.lock.json"
    before = json.loads(lock.read_text(encoding="utf-8"))

    assert kill(moment, number=signal.SIGTERM) == 143
    assert report(root)["outcome"] == "interrupted"
    assert not (run_folders(root)[-1] / "model").exists()
    assert json.loads(lock.read_text(encoding="utf-8"))["splits"] == before["splits"]

    assert finished.run("run", "recipe.yaml").code == 0
    assert report(root)["outcome"] == "accepted"
