"""SIGKILL in every stage: the store stays whole, and the next run goes on where the dead one stopped."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.store import Store
from engine.training.soft_targets import PART
from support.damages import zero_the_middle
from support.project import Project
from support.runs import (
    PLAIN,
    adapter_digests,
    forget,
    is_whole,
    left_behind,
    manifests,
    only,
    report,
    run_folders,
    statuses,
)

pytestmark = pytest.mark.thorough

Kill = Callable[..., int]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("stage", PLAIN)
def test_a_run_killed_in_a_stage_is_continued_by_the_next(
    finished: Project, kill: Kill, stage: str
) -> None:
    root = finished.folder / ".recipe"
    forget(root, stage, with_products=stage not in ("quantize", "verify"))

    assert kill(stage) == -signal.SIGKILL
    assert is_whole(root)
    assert len(run_folders(root)) == 1  # the dead run left no report

    after = finished.run("run", "recipe.yaml")

    assert after.code == 0, after.err
    assert statuses(root) == only(stage)
    assert is_whole(root)


def test_training_goes_on_from_its_checkpoint_and_ends_with_the_same_weights(
    finished: Project, kill: Kill
) -> None:
    root = finished.folder / ".recipe"
    uninterrupted = adapter_digests(root)
    losses = [point["loss"] for point in report(root)["training"]["history"] if point["loss"]]
    forget(root, "train")

    assert kill("train", after=13) == -signal.SIGKILL
    assert finished.run("run", "recipe.yaml").code == 0

    training = report(root)["training"]
    assert 0 < training["resumed_from_step"] < 13
    assert [point["loss"] for point in training["history"] if point["loss"]] == losses
    assert adapter_digests(root) == uninterrupted


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.pt"])
def test_a_damaged_checkpoint_is_set_aside_and_training_ends_with_the_same_weights(
    finished: Project, kill: Kill, name: str
) -> None:
    root = finished.folder / ".recipe"
    uninterrupted = adapter_digests(root)
    forget(root, "train")
    assert kill("train", after=13) == -signal.SIGKILL
    *_, last = sorted((root / "scratch").glob("*/output/checkpoint-*"), key=_step)
    zero_the_middle(last / name)

    after = finished.run("run", "recipe.yaml")

    assert after.code == 0, after.err
    assert f"{last.name} is set aside: {name} is not as it was saved" in " ".join(after.err.split())
    assert 0 < report(root)["training"]["resumed_from_step"] < _step(last)
    assert adapter_digests(root) == uninterrupted


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def test_training_killed_twice_still_ends_with_the_same_weights(
    finished: Project, kill: Kill
) -> None:
    root = finished.folder / ".recipe"
    uninterrupted = adapter_digests(root)
    forget(root, "train")

    assert kill("train", after=6) == -signal.SIGKILL
    assert kill("train", after=15) == -signal.SIGKILL
    assert finished.run("run", "recipe.yaml").code == 0

    assert 6 < report(root)["training"]["resumed_from_step"] < 15
    assert adapter_digests(root) == uninterrupted


def test_a_learning_curve_goes_on_from_the_checkpoint_of_the_training_that_was_killed(
    finished: Project, kill: Kill
) -> None:
    root = finished.folder / ".recipe"
    finished.edit(learning_curve=True)

    assert kill("resample", after=3) == -signal.SIGKILL  # of 4 steps on a quarter of the rows
    assert finished.run("run", "recipe.yaml").code == 0

    trained = [manifest for manifest in manifests(root) if manifest["stage"] == "resampled"]
    files = [Store(root).folder(one["key"]) / "files" / "training.json" for one in trained]
    resumed = [json.loads(file.read_text("utf-8"))["resumed_from_step"] for file in files]
    assert resumed in ([1, None], [2, None])
    assert statuses(root) == {**only("resample"), "resample": "ran"}
    assert is_whole(root)


def test_a_further_seed_goes_on_from_the_checkpoint_of_its_training(
    finished: Project, kill: Kill
) -> None:
    root = finished.folder / ".recipe"
    finished.edit(method__seeds=[8])

    assert kill("seeds", after=13) == -signal.SIGKILL
    assert list((root / "scratch").glob("*/launch/output/checkpoint-*"))
    assert finished.run("run", "recipe.yaml").code == 0

    assert statuses(root) == {**only("seeds"), "seeds": "ran"}
    assert [run["seed"] for run in report(root)["seeds"]["runs"]] == [7, 8]
    assert is_whole(root)


def test_a_killed_and_continued_run_from_an_empty_store_reproduces_the_lock(
    finished: Project, kill: Kill
) -> None:
    root = finished.folder / ".recipe"
    shutil.rmtree(root)

    assert kill("train", after=13) == -signal.SIGKILL
    assert kill("merge") == -signal.SIGKILL
    assert finished.run("run", "recipe.yaml").code == 0

    assert statuses(root)["train"] == "reused"
    assert report(root)["training"]["resumed_from_step"] > 0
    assert report(root)["reproduction"]["verdict"] == "reproduced exactly"


def test_a_run_interrupted_by_a_signal_says_so_and_is_continued(
    finished: Project, kill: Kill
) -> None:
    root = finished.folder / ".recipe"
    forget(root, "evaluate", with_products=False)

    assert kill("evaluate", number=signal.SIGINT) == 130
    assert is_whole(root)
    assert report(root)["outcome"] == "interrupted"
    assert finished.run("run", "recipe.yaml").code == 0


# SIGTERM, SIGHUP and SIGQUIT: exit code of the signal, a word, a run folder that says so, and the next run goes on.
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


# SIGKILL while a teacher is asked for its probabilities: finished parts are kept, and the bytes are the same.
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
