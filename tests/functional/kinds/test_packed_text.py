"""Documents that are packed into rows: counted before they are trained, and judged one by one as ever."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.recipe import load_recipe
from support.project import Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import report

pytestmark = pytest.mark.thorough

BUDGET = 6000
LENGTH, BATCH = 256, 1


def prepare(project: Project) -> None:
    lines = [
        json.dumps({"text": f"speech {number}: " + "to be, or not to be. " * (1 + number % 5)})
        for number in range(90)
    ]
    (project.folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    checks = dict.fromkeys(("leakage", "near_duplicates"), "off")
    project.edit(
        task={"kind": "text", "input": "{text}"},
        data={"sources": [{"path": "rows.jsonl"}], "checks": checks},
        splits={"by": "random", "train": 50, "validation": 10, "holdout": 30},
        acceptance={"metrics": {"bits_per_byte": {"max": 100}}, "decide_on": "point"},
        baselines=["zero_shot"],
        method={
            "kind": "full",
            "packing": True,
            "tokens": BUDGET,
            "batch_size": BATCH,
            "max_length": LENGTH,
            "learning_rate": 1e-3,
        },
    )


@pytest.fixture
def done() -> RunOnce:
    return run_once("packed-text", prepare)


def test_a_budget_of_tokens_is_trained_in_packed_rows(done: RunOnce) -> None:
    assert done.outcome.code == 0, done.outcome.err
    found = report(done.folder / ".recipe")
    training = found["training"]
    assert found["outcome"] == "accepted"
    assert training["steps"] == -(-BUDGET // (BATCH * LENGTH))
    assert training["rows"] < 50
    assert training["packed_documents"] == 50
    assert training["padding"] * training["rows"] < 1
    losses = [point["loss"] for point in training["history"] if point["loss"] is not None]
    assert losses[-1] < losses[0]
    assert found["holdout"]["rows"] == 30


def test_the_plan_says_how_many_epochs_a_budget_comes_to(
    tmp_path: Path, run: Callable[..., Outcome], project: Project
) -> None:
    prepare(project)

    outcome = run("plan", "recipe.yaml", "--explain")

    assert outcome.code == 0, outcome.err
    assert f"{BUDGET:,} tokens in batches of {BATCH} rows of {LENGTH}: 24" in outcome.out
    assert "epochs of" in outcome.out


def test_the_resolved_recipe_of_a_budget_can_be_read_again(project: Project) -> None:
    prepare(project)
    recipe, _ = load_recipe(project.recipe)

    assert recipe.method.tokens == BUDGET
    assert recipe.method.epochs == 0
