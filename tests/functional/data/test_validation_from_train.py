"""`keep: best` without validation rows: what plan, data and a run say, and which checkpoint becomes the model."""

import pytest

from support.project import Project
from support.runs import report

KEPT = {"splits__validation": 0, "method__keep": "best"}


def test_plan_says_how_many_training_rows_validate(project: Project) -> None:
    project.edit(**KEPT)
    in_rows = project.run("plan", str(project.recipe))
    project.edit(splits__train="all")
    left = project.run("plan", str(project.recipe))

    assert "30 train / 30 validation / 40 holdout" in in_rows.out, in_rows.err
    words = [" ".join(one.out.split()) for one in (in_rows, left)]
    assert "validation 30 of the 60 training rows, for `keep: best`" in words[0]
    assert "validation 15% of the training rows, 30 to 100, for `keep: best`" in words[1]


def test_data_counts_them_and_holds_the_recorded_holdout(project: Project) -> None:
    project.edit(splits__validation=0)
    before = project.run("run", str(project.recipe), "--until", "data")
    holdout = (project.folder / "recipe.lock.json").read_text(encoding="utf-8")
    project.edit(**KEPT)
    shown = project.run("data", str(project.recipe))
    after = project.run("run", str(project.recipe), "--until", "data")

    assert (before.code, shown.code, after.code) == (0, 0, 0), after.err
    words = " ".join(shown.out.split())
    assert (
        "30 of 60 training rows are validation rows: `method.keep: best` chooses by them" in words
    )
    assert "drawn again" not in after.out + after.err
    digest = holdout.split('"holdout": {')[1].split('"digest": "')[1].split('"')[0]
    assert digest in (project.folder / "recipe.lock.json").read_text(encoding="utf-8")


@pytest.mark.thorough  # a whole training
@pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
def test_a_run_keeps_the_checkpoint_of_the_lowest_loss_on_them(project: Project) -> None:
    project.edit(**KEPT, baselines=["majority"])
    outcome = project.run("run", str(project.recipe), "--until", "gate")
    found = report(project.folder / ".recipe")

    assert found["training"] is not None, outcome.err
    splits = {one["name"]: one["rows"] for one in found["data"]["splits"]}
    assert splits == {"train": 30, "validation": 30, "holdout": 40}
    assert found["validation_scores"]["rows"] == 30
    losses = {
        point["step"]: point["eval_loss"]
        for point in found["training"]["history"]
        if point["eval_loss"] is not None and point["step"]
    }
    assert found["training"]["kept_step"] == min(losses, key=losses.__getitem__)
