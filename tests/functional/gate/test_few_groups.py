"""Bounds that no model can keep on the groups of the holdout: plan and data say so, and nothing is trained."""

import csv

from support.project import Project, rows
from support.runs import report


def grouped(project: Project, groups: int) -> None:
    """Write rows in groups of equal size, of which a sixth is for the holdout."""
    with (project.folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        found = [(text, label, f"u{n % groups}") for n, (text, label) in enumerate(rows(300))]
        csv.writer(stream).writerows([("text", "label", "user"), *found])
    project.edit(
        splits={"by": {"group": "user"}, "train": "all", "validation": 50, "holdout": 50},
        data__checks={"leakage": "off", "near_duplicates": "off", "label_errors": "off"},
        acceptance__metrics={"accuracy": {"min": 0.75}},
    )


def test_a_bound_that_the_groups_cannot_show_is_refused_before_training(project: Project) -> None:
    """Plan called 0.905 a value with power 0.80 here: five groups without an error end at 0.54."""
    grouped(project, 30)

    planned = project.run("plan", str(project.recipe), "--format", "json")
    looked = project.run("data", str(project.recipe), "--no-tokens")
    outcome = project.run("run", str(project.recipe))

    wrong = "D437  acceptance.metrics.accuracy: can never pass: accuracy `min 0.75 (lower bound)`"
    assert wrong in planned.out
    assert f"{wrong} on 50 holdout rows in 5 groups: power below 0.80" in looked.err
    assert (looked.code, outcome.code) == (3, 3)
    assert wrong in outcome.err
    found = report(project.folder / ".recipe")
    assert {one["status"] for one in found["stages"] if one["stage"] == "train"} == {"skipped"}


def test_with_many_groups_the_same_bound_is_planned(project: Project) -> None:
    grouped(project, 300)

    planned = project.run("plan", str(project.recipe))

    assert "D437" not in planned.out
    assert planned.code == 0
