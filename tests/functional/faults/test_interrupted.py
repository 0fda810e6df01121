"""Ctrl-C in every stage: exit 130, reported once, the store whole, a report written, and the next run ends the job."""

import signal
from typing import Any

import pytest

from engine.artifacts.stage import StageContext
from engine.stages import load_stage
from engine.values import replace
from support.faults_of_interruptions import Impatient
from support.project import Project
from support.runs import PLAIN, forget, is_whole, left_behind, only, report, statuses

pytestmark = pytest.mark.thorough


@pytest.mark.sampled(3)
@pytest.mark.parametrize("stage", PLAIN)
def test_ctrl_c_in_a_stage_keeps_what_was_finished(
    finished: Project, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    root = finished.folder / ".recipe"
    forget(root, stage, with_products=stage not in ("quantize", "verify"))
    module: Any = load_stage(stage)
    real = module.run

    def interrupted(context: StageContext) -> None:
        real(context)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(module, "run", interrupted)
        outcome = finished.run("run", "recipe.yaml")
    found = report(root)
    position = PLAIN.index(stage)

    assert outcome.code == 130, outcome.err
    assert outcome.out.count(f"interrupted in stage {stage}") == 1
    assert "Traceback" not in outcome.err + outcome.out
    assert found["outcome"] == "interrupted"
    assert [record["status"] for record in found["stages"]] == [
        *["reused"] * position,
        "interrupted",
        *["skipped"] * (len(PLAIN) - position - 1),
    ]
    assert is_whole(root)
    assert left_behind(root) == []

    assert finished.run("run", "recipe.yaml").code == 0
    assert statuses(root) == only(stage)


def interrupt_training(project: Project, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Train again, and stop at the report of progress with this number."""
    forget(project.folder / ".recipe", "train")
    module: Any = load_stage("train")
    real = module.run

    def interrupted(context: StageContext) -> None:
        real(replace(context, progress=Impatient(after)))

    with monkeypatch.context() as patch:
        patch.setattr(module, "run", interrupted)
        assert project.run("run", "recipe.yaml").code == 130


def test_ctrl_c_before_a_checkpoint_says_that_the_training_starts_again(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finished.folder / ".recipe"
    interrupt_training(finished, monkeypatch, after=1)

    assert not list(root.glob("scratch/*/output/checkpoint-*"))
    assert report(root)["summary"] == (
        "the run was interrupted in stage train: the same command reuses what is finished; the training starts "
        "again, for no checkpoint was saved"
    )


def test_ctrl_c_while_training_keeps_the_checkpoints(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finished.folder / ".recipe"
    interrupt_training(finished, monkeypatch, after=13)

    assert is_whole(root)
    saved = max(int(at.name.partition("-")[2]) for at in root.glob("scratch/*/output/checkpoint-*"))
    assert report(root)["summary"].endswith(f"continues from step {saved} of the training")

    assert finished.run("run", "recipe.yaml").code == 0
    assert 0 < report(root)["training"]["resumed_from_step"] < 13
