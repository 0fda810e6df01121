"""Preferences run whole: pairs and single answers, drift bounded, and the quantized file asked the same pairs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.project import THINGS, Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import report, statuses

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning"),
]
CHECKS = dict.fromkeys(("near_duplicates", "output_format", "leakage", "conflicting_labels"), "off")


def pairs(count: int) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"question {number}: which {THINGS[number % len(THINGS)]}?",
            "chosen": f"the {THINGS[number % len(THINGS)]} was good",
            "rejected": "ask somebody else about that, please",
        }
        for number in range(count)
    ]


def thumbs(count: int) -> list[dict[str, Any]]:
    return [
        {
            "prompt": pair["prompt"],
            "completion": pair["rejected" if number % 2 else "chosen"],
            "label": number % 2 == 0,
        }
        for number, pair in enumerate(pairs(count))
    ]


def preferring(rows: list[dict[str, Any]], **changes: Any) -> Callable[[Project], None]:
    def prepare(project: Project) -> None:
        text = "\n".join(map(json.dumps, rows))
        (project.folder / "rows.jsonl").write_text(text, encoding="utf-8")
        project.edit(
            task={"kind": "preference"},
            data={"sources": [{"path": "rows.jsonl"}], "checks": CHECKS},
            splits={"train": 32, "validation": 8, "holdout": 20, "seed": 7},
            acceptance={
                "metrics": {"preference_accuracy": {"min": 0.5}},
                "drift": {
                    "chosen_log_probability": {"max_drop": 5},
                    "answer_length": {"max_ratio": 50},
                },
                "decide_on": "point",
            },
            baselines=None,
            method__epochs=1,
            **changes,
        )

    return prepare


@pytest.fixture(scope="session")
def accepted() -> RunOnce:
    export = {
        "formats": ["gguf"],
        "quantization": "Q8_0",
        "after_quantization": {"preference_accuracy": {"max_drop": 0.2}},
    }
    return run_once("preferring", preferring(pairs(64), export=export))


def test_pairs_are_trained_judged_and_shipped(accepted: RunOnce) -> None:
    found = report(accepted.folder / ".recipe")

    assert accepted.outcome.code == 0, accepted.outcome.err
    assert [one["name"] for one in found["baselines"]] == ["longer_answer", "untouched"]
    longer = {one["name"]: one["value"] for one in found["baselines"][0]["scores"]["metrics"]}
    assert longer["preference_accuracy"] == 0.0
    assert found["holdout"]["rows"] == 20


def test_the_quantized_file_is_asked_the_same_pairs(accepted: RunOnce) -> None:
    found = report(accepted.folder / ".recipe")

    for scores in (found["holdout"], found["quantized"]):
        metrics = {one["name"]: one for one in scores["metrics"]}
        assert metrics["preference_accuracy"]["value"] >= 0.5
        assert metrics["preference_margin"]["value"] > 0
    names = {check["name"]: check["status"] for check in found["verify"]["checks"]}
    assert names["drop.preference_accuracy"] == "pass"
    assert names["token_parity"] == "pass"


def test_what_moved_stands_in_the_report(accepted: RunOnce) -> None:
    found = report(accepted.folder / ".recipe")
    page = next((accepted.folder / ".recipe" / "runs").rglob("report.md"))

    scores = {one["name"]: one for one in found["drift"]["scores"]}
    assert scores["chosen_log_probability"]["change"]["interval"] is not None
    assert scores["answer_length"]["change"]["n"] == 20
    checks = {one["name"]: one["status"] for one in found["gate"]["checks"]}
    assert checks["drift.chosen_log_probability"] == checks["drift.answer_length"] == "pass"
    assert "## Drift" in page.read_text(encoding="utf-8")


def test_a_training_that_moves_the_answers_too_far_is_refused_without_asking_again(
    accepted: RunOnce, tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    project = accepted.copy_to(tmp_path, run)
    project.edit(acceptance__drift__answer_length={"max_ratio": 0.01})

    outcome = project.run("run", "recipe.yaml")

    assert outcome.code == 1, outcome.err
    ran = statuses(project.folder / ".recipe")
    assert (ran["train"], ran["drift"], ran["gate"]) == ("reused", "reused", "ran")
    gate = report(project.folder / ".recipe")["gate"]
    assert [one["name"] for one in gate["checks"] if one["status"] == "fail"] == [
        "drift.answer_length"
    ]


def test_single_answers_are_trained_with_kto(
    tmp_path: Path, run: Callable[..., Outcome], project: Project
) -> None:
    preferring(thumbs(64), method__preference={"loss": "kto"}, method__learning_rate=1e-2)(project)

    outcome = project.run("run", "recipe.yaml", "--until", "gate")

    assert outcome.code == 0, outcome.err
    metrics = {one["name"]: one for one in report(project.folder / ".recipe")["holdout"]["metrics"]}
    assert metrics["preference_accuracy"]["n"] == 20
    assert metrics["accuracy_chosen_longer"]["value"] is None
