"""`learning_curve: true`: three points, nested rows, the holdout unread, and nothing done twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.artifacts.stage import StageContext
from engine.backends import launches, trl
from engine.backends.base import Launch, Trained
from engine.stages import load_stage
from engine.store import Store
from engine.training import trials
from engine.training.train import Training, train_rows
from support.project import Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import PLAIN, manifests, only, report, statuses

pytestmark = pytest.mark.thorough


def rows_of(folder: Path, name: str = "train.jsonl") -> dict[str, str]:
    """Id and text of the rows in a file of examples."""
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    return {row["id"]: row["input"] for row in map(json.loads, lines)}


def products(root: Path, name: str) -> list[Path]:
    """The files of inner products of that name, in the order they were made."""
    return [
        Store(root).folder(manifest["key"]) / "files"
        for manifest in manifests(root)
        if manifest["stage"] == name
    ]


WORDS = ("run", "recipe.yaml", "--until", "gate")


def curving(project: Project) -> None:
    project.edit(learning_curve=True, baselines=["majority", "tfidf_svm"], method__epochs=1)


def watch_inputs(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """See which artifacts the stage is given, and every file that a training is given."""
    seen: dict[str, Any] = {"artifacts": [], "files": {}}
    module: Any = load_stage("resample")
    real = module.run

    def watched(context: Any) -> None:
        real(context)
        seen["artifacts"].append(sorted(context.artifacts))

    def train(launch: Launch) -> Trained:
        for path in launch.rows.rglob("*"):
            seen["files"][str(path)] = path.read_text(encoding="utf-8")
        return launches.train_trl(launch)

    patch.setattr(module, "run", watched)
    patch.setattr(trl, "train", train)
    return seen


@pytest.fixture(scope="session")
def curved_once() -> RunOnce:
    """A project with a learning curve after its run."""
    return run_once("curved", curving, *WORDS[2:], watch=watch_inputs)


@pytest.fixture
def curved(project: Project) -> Project:
    """The same project before its run."""
    curving(project)
    return project


def test_a_curve_has_three_points_and_never_meets_the_holdout(curved_once: RunOnce) -> None:
    root, outcome = curved_once.folder / ".recipe", curved_once.outcome
    given: dict[str, str] = curved_once.seen["files"]

    assert curved_once.seen["artifacts"] == [["data", "evaluate"]]
    assert outcome.code == 0, outcome.err
    found = report(root)
    svm, tuned = found["learning_curves"]
    assert (svm["model"], tuned["model"]) == ("tfidf_svm", "tuned")
    for curve in (svm, tuned):
        assert [(p["share"], p["rows"]) for p in curve["points"]] == [
            (0.25, 15),
            (0.5, 30),
            (1, 60),
        ]
        assert {p["scores"]["rows"] for p in curve["points"]} == {20}
        assert curve["judged_on"] == "validation"
    assert tuned["points"][-1]["scores"] == found["validation_scores"]
    # This model did not learn the rows that it had: nobody is asked for more of them.
    assert "diagnosis: underfitted" in outcome.out
    assert "learning curve: " not in outcome.out

    quarter, half = (rows_of(folder) for folder in products(root, "subset"))
    (data,) = products(root, "data")
    assert quarter.keys() < half.keys() < rows_of(data).keys()
    (held,) = products(root, "holdout")
    texts = rows_of(held, "holdout.jsonl").values()
    assert len(given) >= 6  # three trainings, each of two files and the facts
    assert [path for path, text in given.items() if any(row in text for row in texts)] == []


def test_a_second_run_reuses_and_a_changed_confidence_trains_nothing(
    curved_once: RunOnce, tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    project = curved_once.copy_to(tmp_path, run)
    root = project.folder / ".recipe"
    made = len(products(root, "resampled"))

    assert project.run(*WORDS).code == 0
    again = statuses(root)
    project.edit(acceptance__confidence=0.9)
    assert project.run(*WORDS).code == 0

    assert again["resample"] == "reused"
    assert statuses(root)["resample"] == "ran"
    assert statuses(root)["train"] == "reused"
    assert made == len(products(root, "resampled")) == 2


def test_a_curve_that_broke_off_goes_on_with_what_it_had(
    curved: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = curved.folder / ".recipe"
    begun: list[str] = []

    def broken(training: Training, context: StageContext) -> None:
        begun.append(training.scratch.parent.name)
        if len(begun) == 2:
            raise KeyboardInterrupt
        train_rows(training, context)

    monkeypatch.setattr(trials, "train_rows", broken)
    assert curved.run(*WORDS).code == 130
    assert statuses(root)["resample"] == "interrupted"
    assert curved.run(*WORDS).code == 0

    assert begun[0] != begun[1] == begun[2]
    assert len(begun) == 3


def test_a_recipe_without_a_curve_has_no_such_stage(project: Project) -> None:
    plan = project.run("plan", "recipe.yaml")
    forced = project.run("run", "recipe.yaml", "--until", "resample")

    assert plan.code == 0
    assert "resample" not in plan.out
    assert forced.code == 2
    assert "R272" in forced.err
    assert only("gate").keys() == set(PLAIN)
