"""A model that learns its rows by heart: labels drawn at random can be memorised, never generalised."""

import csv
import random

import pytest

from support.project import Project, rows
from support.runs import report

pytestmark = [
    pytest.mark.slow,  # twenty rounds of training
    pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning"),
]


def test_a_model_that_memorises_a_hundred_rows_is_refused(project: Project) -> None:
    draw = random.Random(5)
    noisy = [(text, draw.choice(["negative", "positive"])) for text, _ in rows(180)]
    with (project.folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *noisy])
    project.edit(
        splits={"by": "stratified", "train": 100, "validation": 40, "holdout": 40, "seed": 7},
        data__checks={"leakage": "off", "near_duplicates": "off", "label_errors": "off"},
        baselines=["majority"],
        method__kind="full",
        method__rank=None,
        method__alpha=None,
        method__epochs=20,
        method__learning_rate=5e-3,
        method__keep="last",
        method__evaluations_per_epoch=1,
        acceptance__overfitting={"max_gap": 0.15},
    )

    outcome = project.run("run", str(project.recipe), "--until", "gate")
    found = report(project.folder / ".recipe")

    (check,) = [one for one in found["gate"]["checks"] if one["name"] == "overfitting"]
    assert outcome.code == 1, outcome.err
    assert check["status"] == "fail"
    assert check["got"] > 0.3
    assert found["diagnosis"]["fit"] == "overfitted"
    # no step is known to be better: labels at random cannot be learned
    assert found["diagnosis"]["yaml"] == ""
