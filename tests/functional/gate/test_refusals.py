"""A gate that says no did its job: what follows it, through the command, with a tiny real model."""

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

AFTER_GATE = ("merge", "quantize", "verify")


def report(outcome: Outcome, project: Project) -> dict[str, Any]:
    folders = sorted((project.folder / ".recipe" / "runs" / "tiny").iterdir())
    runs = [folder / "report.json" for folder in folders if (folder / "report.json").is_file()]
    latest = max(runs, key=lambda file: file.stat().st_mtime_ns)
    found: dict[str, Any] = json.loads(latest.read_text(encoding="utf-8"))
    assert found["outcome"] in ("accepted", "refused", "inconclusive", "baseline_passes"), outcome
    return found


def statuses(found: dict[str, Any]) -> dict[str, str]:
    return {record["stage"]: record["status"] for record in found["stages"]}


@pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
def test_a_refused_model_is_not_merged_until_the_threshold_is_lowered(project: Project) -> None:
    project.edit(acceptance__metrics={"macro_f1": {"min": 1.0}}, data__checks={"leakage": "off"})

    refused = project.run("run", str(project.recipe))
    first = report(refused, project)

    assert refused.code == 1, refused.err
    assert first["gate"]["status"] in ("fail", "inconclusive")
    assert {statuses(first)[stage] for stage in AFTER_GATE} == {"skipped"}
    assert "recipe report tiny --mistakes" in first["next_steps"]

    project.edit(acceptance__metrics={"macro_f1": {"min": 0.01}})
    accepted = project.run("run", str(project.recipe))
    second = report(accepted, project)

    assert accepted.code == 0, accepted.err
    assert second["gate"]["status"] == "pass"
    assert statuses(second) == {
        **dict.fromkeys(("data", "baseline", "compile", "train", "evaluate"), "reused"),
        **dict.fromkeys(("gate", *AFTER_GATE), "ran"),
    }


@pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
def test_a_file_that_misses_a_bound_which_the_tuned_model_keeps_is_refused(
    project: Project,
) -> None:
    export = {"formats": ["gguf"], "quantization": "Q8_0"}
    project.edit(export=export, acceptance__decide_on="point", data__checks={"leakage": "off"})
    accepted = project.run("run", str(project.recipe))
    first = report(accepted, project)
    tuned, file = (
        next(one["value"] for one in scores["metrics"] if one["name"] == "brier")
        for scores in (first["holdout"], first["quantized"])
    )

    project.edit(acceptance__metrics={"brier": {"max": (tuned + file) / 2}})
    refused = project.run("run", str(project.recipe))
    second = report(refused, project)

    assert tuned < file
    assert (accepted.code, refused.code) == (0, 1), refused.err
    assert [second[name]["status"] for name in ("gate", "verify")] == ["pass", "fail"]
    assert (second["outcome"], second["files"][0]["name"]) == ("refused", "model-Q8_0.gguf")
    assert "exported file" in second["summary"]
    assert len([*project.folder.rglob("runs/tiny/*/*.gguf")]) == 1
    assert json.loads((project.folder / "recipe.lock.json").read_text())["accepted"]["metrics"]


@pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
def test_a_baseline_that_is_enough_ends_the_run_before_training(project: Project) -> None:
    project.edit(
        data__checks={"leakage": "off"},
        stop_if_baseline_passes=True,
        baselines=["majority", "tfidf_svm"],
        acceptance__metrics={"macro_f1": {"min": 0.8}},
    )

    outcome = project.run("run", str(project.recipe))
    found = report(outcome, project)

    assert outcome.code == 5, outcome.err
    assert {item["name"]: item["passes"] for item in found["baselines"]} == {
        "majority": False,
        "tfidf_svm": True,
    }
    assert statuses(found)["train"] == "skipped"

    (listed,) = json.loads(project.run("runs", "--format", "json").out)["runs"]
    (svm,) = (item for item in found["baselines"] if item["name"] == "tfidf_svm")
    values = {metric["name"]: metric["value"] for metric in svm["scores"]["metrics"]}
    asked = project.run("try", "tiny", "a lovely film")

    assert (listed["baseline"], listed["metric"], listed["value"]) == (
        *("tfidf_svm", "macro_f1"),
        values["macro_f1"],
    )
    assert "by tfidf_svm" in project.run("runs").out
    assert (asked.code, "recipe export baseline" in asked.err) == (2, True)


def test_of_baselines_that_pass_the_simplest_one_is_listed(project: Project) -> None:
    project.edit(
        data__checks={"leakage": "off"},
        stop_if_baseline_passes=True,
        baselines=["majority", "tfidf_svm"],
        acceptance__metrics={"macro_f1": {"min": 0.01}},
    )

    outcome = project.run("run", str(project.recipe))

    assert [item["passes"] for item in report(outcome, project)["baselines"]] == [True, True]
    (listed,) = json.loads(project.run("runs", "--format", "json").out)["runs"]
    assert listed["baseline"] == "majority"

    planned = project.run("plan", str(project.recipe)).out
    assert "majority and tfidf_svm already meet every threshold" in planned
    assert "in all" not in planned


# A second model of a recipe is compared with the one accepted before, through the command.
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
