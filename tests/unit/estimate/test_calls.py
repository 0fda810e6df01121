"""What asking a teacher takes, before it is asked."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.estimate.teacher import (
    QueryEstimate,
    soft_estimate,
    synthesis_estimate,
    teacher_estimate,
)
from engine.recipe import load_recipe
from engine.recipe.model import FROM_TRAIN
from engine.store import Store
from engine.values import replace
from support.estimates import CPU
from support.project import BASE, rows

SERVED = {"endpoint": "http://localhost:8000/v1", "model": "m"}


def estimated(folder: Path, *, model: dict[str, Any] | str, asked: int) -> QueryEstimate:
    (folder / "base").mkdir(exist_ok=True)
    (folder / "base" / "config.json").write_text("{}", encoding="utf-8")
    lines = ["text,label", *(f"{text},{label}" for text, label in rows(140))]
    (folder / "rows.csv").write_text("\n".join(lines), encoding="utf-8")
    inputs = {"sources": [{"path": "rows.csv"}], "rows": asked}
    teacher = {"model": model, "inputs": inputs}
    text = yaml.safe_dump({**BASE, "allow_moving": True, "teacher": teacher})
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    recipe, _ = load_recipe(folder / "recipe.yaml")
    assert recipe.teacher is not None
    return teacher_estimate(recipe, recipe.teacher, Store(folder / "store"), None)


def test_a_served_teacher_costs_by_rows_and_their_tokens(tmp_path: Path) -> None:
    model = {**SERVED, "price": {"input": 2.0, "output": 4.0}}
    found = estimated(tmp_path, model=model, asked=100)
    with_shots = estimated(tmp_path, model={**model, "shots": 3}, asked=100)

    assert (found.validation, found.rows, found.holdout) == (20, 100, 40)
    assert found.read_tokens is not None
    assert found.written_tokens is not None
    assert found.read_tokens > 160 * 10
    assert found.cost == pytest.approx((2 * found.read_tokens + 4 * found.written_tokens) / 1e6)
    assert with_shots.read_tokens == pytest.approx(4 * found.read_tokens, rel=0.01)


def test_without_a_number_of_rows_or_a_price_nothing_is_made_up(tmp_path: Path) -> None:
    every = estimated(tmp_path, model=SERVED, asked=0)
    free = estimated(tmp_path, model={"path": "base"}, asked=10)
    baseline = estimated(tmp_path, model="tfidf_svm", asked=10)

    assert (every.rows, every.read_tokens, every.cost) == (None, None, None)
    assert free.read_tokens is not None
    assert free.cost is None
    assert (baseline.rows, baseline.read_tokens) == (10, None), "it reads no prompts"


def test_training_rows_that_validate_are_asked_as_such(tmp_path: Path) -> None:
    estimated(tmp_path, model={"path": "base"}, asked=100)
    recipe, _ = load_recipe(tmp_path / "recipe.yaml")
    assert recipe.teacher is not None
    drawn = replace(recipe, splits=replace(recipe.splits, validation=FROM_TRAIN))
    store = Store(tmp_path / "store")

    found = teacher_estimate(drawn, recipe.teacher, store, None)
    soft = soft_estimate(drawn, store, None, device=CPU)

    assert (found.validation, soft.rows) == (30, 30 + 100)
    assert found.read_tokens is not None


@pytest.mark.parametrize(("asked", "rows"), [(100, 160), (0, None)])
def test_probabilities_are_asked_of_every_training_row(
    tmp_path: Path, asked: int, rows: int | None
) -> None:
    estimated(tmp_path, model={"path": "base"}, asked=asked)
    recipe, _ = load_recipe(tmp_path / "recipe.yaml")

    found = soft_estimate(recipe, Store(tmp_path / "store"), None, device=CPU)

    assert (found.rows, found.is_counted) == (rows, False)
    assert (found.read_tokens is None) is (rows is None)
    assert found.disk_bytes is None or 160 * 192 <= found.disk_bytes <= 160 * 192 * 8


# What asking for synthetic rows takes, before anything is asked.
PRICED = {**SERVED, "price": {"input": 2.0, "output": 4.0}}


def estimated_of_synthesis(folder: Path, **written: Any) -> QueryEstimate:
    (folder / "base").mkdir(exist_ok=True)
    (folder / "base" / "config.json").write_text("{}", encoding="utf-8")
    lines = ["text,label", *(f"{text},{label}" for text, label in rows(140))]
    (folder / "rows.csv").write_text("\n".join(lines), encoding="utf-8")
    data = {**BASE["data"], "synthesize": {"rows": 100, "teacher": PRICED, **written}}
    text = yaml.safe_dump({**BASE, "allow_moving": True, "data": data})
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    recipe, _ = load_recipe(folder / "recipe.yaml")
    return synthesis_estimate(recipe, Store(folder / "store"), None)


def test_rows_cost_by_examples_and_votes(tmp_path: Path) -> None:
    found = estimated_of_synthesis(tmp_path)
    plain = estimated_of_synthesis(tmp_path, examples=0, keep={"agreement": {"votes": 0}})
    votes = estimated_of_synthesis(tmp_path, keep={"agreement": {"votes": 3}})

    assert (found.rows, found.votes, votes.votes) == (100, 100, 300)
    assert found.read_tokens is not None
    assert plain.read_tokens is not None
    assert votes.read_tokens is not None
    assert plain.read_tokens < found.read_tokens < votes.read_tokens
    assert found.written_tokens is not None
    tokens = (found.read_tokens, found.written_tokens)
    assert found.cost == pytest.approx((2 * tokens[0] + 4 * tokens[1]) / 1e6, rel=0.01)


def test_at_most_a_share_of_the_training_rows_is_kept(tmp_path: Path) -> None:
    assert estimated_of_synthesis(tmp_path).most_kept == 60
    assert estimated_of_synthesis(tmp_path, keep={"max_share": 0.25}).most_kept == 20
    assert estimated_of_synthesis(tmp_path, rows=10).most_kept == 10
    assert estimated_of_synthesis(tmp_path, keep={"max_share": 0.6}).most_kept == 90, "90 of 150"


def test_training_rows_that_validate_allow_no_share(tmp_path: Path) -> None:
    estimated_of_synthesis(tmp_path)
    recipe, _ = load_recipe(tmp_path / "recipe.yaml")
    drawn = replace(recipe, splits=replace(recipe.splits, validation=FROM_TRAIN))

    assert synthesis_estimate(drawn, Store(tmp_path / "store"), None).most_kept == 30


def test_without_a_price_no_cost_is_made_up(tmp_path: Path) -> None:
    assert estimated_of_synthesis(tmp_path, teacher=SERVED).cost is None
    assert estimated_of_synthesis(tmp_path, teacher={"path": "base"}).cost is None
