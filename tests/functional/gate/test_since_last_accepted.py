"""A second model of a recipe is compared with the one accepted before, through the command."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.lock.coherence import answer_facts
from engine.metrics.predictions import read_predictions
from engine.metrics.scoring import values_of
from engine.recipe import load_recipe
from engine.values import replace
from support.project import Outcome, Project
from support.run_once import RunOnce, run_once

pytestmark = pytest.mark.thorough


def latest(project: Project) -> dict[str, Any]:
    folders = (project.folder / ".recipe" / "runs" / "tiny").iterdir()
    reports = [folder / "report.json" for folder in folders if folder.is_dir()]
    newest = max(reports, key=lambda file: file.stat().st_mtime_ns)
    found: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
    return found


def gate(project: Project) -> str:
    return next(item["status"] for item in latest(project)["stages"] if item["stage"] == "gate")


def comparing(project: Project) -> None:
    project.edit(
        data__checks={"leakage": "off"},
        acceptance={
            "decide_on": "point",
            "metrics": {"macro_f1": {"min": 0.01}},
            "over_previous": {"macro_f1": {"max_drop": 0.05}},
        },
    )


@pytest.fixture(scope="session")
def first_run() -> RunOnce:
    """A project whose first model was accepted, with nothing to compare it with."""
    return run_once("compared", comparing)


@pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
def test_a_model_is_compared_with_the_last_accepted_one_and_never_with_itself(
    first_run: RunOnce, tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    project, first = first_run.copy_to(tmp_path, run), first_run.outcome

    alone = latest(project)
    again = project.run("run", str(project.recipe))
    reused = gate(project)
    project.edit(method__seed=11, acceptance__over_previous={"macro_f1": {"max_drop": 1.0}})
    second = project.run("run", str(project.recipe))
    followed = latest(project)

    assert [first.code, again.code, second.code] == [0, 0, 0], second.err
    assert [check["status"] for check in alone["gate"]["checks"][:2]] == ["pass", "warn"]
    assert reused == "reused"
    assert [check["status"] for check in followed["gate"]["checks"][:2]] == ["pass", "pass"]
    assert "previous" in [item["name"] for item in followed["comparisons"]]


@pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
def test_in_a_fresh_store_the_model_of_the_lock_is_the_rival(
    first_run: RunOnce, tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    project, first = first_run.copy_to(tmp_path, run), first_run.outcome
    store = ("--store", str(project.folder / ".recipe"))
    path = project.folder / "recipe.lock.json"
    lock = json.loads(path.read_text("utf-8"))
    lock["accepted"] |= all_right(project)
    path.write_text(json.dumps(lock), encoding="utf-8")
    shutil.rmtree(project.folder / ".recipe")

    worse = project.run("run", str(project.recipe), *store)
    refused = latest(project)["gate"]["checks"][1]
    lock["accepted"]["metrics"]["macro_f1"]["value"] = 0.011
    path.write_text(json.dumps(lock), encoding="utf-8")
    flattered = project.run("run", str(project.recipe), *store)
    undecided = latest(project)["gate"]["checks"][1]

    assert first.code == 0, first.err
    assert (worse.code, refused["status"]) == (1, "fail")
    assert refused["got"] > 0.05
    assert "(the lock), on the same rows" in refused["note"]
    assert (flattered.code, undecided["status"]) == (1, "inconclusive")
    assert "the lock contradicts itself" in undecided["note"]


def all_right(project: Project) -> dict[str, Any]:
    """What the lock of a model says that answered every row of the holdout right."""
    (file,) = (project.folder / ".recipe" / "store").glob("*/*/files/predictions.holdout.jsonl")
    rows = [
        replace(row, label=row.target, text=row.target, probability=None, probabilities=())
        for row in read_predictions(file)
    ]
    recipe, _ = load_recipe(project.recipe)
    known = values_of(rows, recipe.task)
    metrics = {
        name: {"value": known[name], "low": None, "high": None, "n": len(rows)}
        for name in ("accuracy", "macro_f1")
    }
    return {"answers": answer_facts(rows), "metrics": metrics}
