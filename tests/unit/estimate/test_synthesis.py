"""What asking for synthetic rows takes, before anything is asked."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.estimate.teacher import QueryEstimate, synthesis_estimate
from engine.recipe import load_recipe
from engine.recipe.model import FROM_TRAIN
from engine.store import Store
from engine.values import replace
from support.project import BASE, rows

SERVED = {"endpoint": "http://localhost:8000/v1", "model": "m"}
PRICED = {**SERVED, "price": {"input": 2.0, "output": 4.0}}


def estimated(folder: Path, **written: Any) -> QueryEstimate:
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
    found = estimated(tmp_path)
    plain = estimated(tmp_path, examples=0, keep={"agreement": {"votes": 0}})
    votes = estimated(tmp_path, keep={"agreement": {"votes": 3}})

    assert (found.rows, found.votes, votes.votes) == (100, 100, 300)
    assert found.read_tokens is not None
    assert plain.read_tokens is not None
    assert votes.read_tokens is not None
    assert plain.read_tokens < found.read_tokens < votes.read_tokens
    assert found.written_tokens is not None
    tokens = (found.read_tokens, found.written_tokens)
    assert found.cost == pytest.approx((2 * tokens[0] + 4 * tokens[1]) / 1e6, rel=0.01)


def test_at_most_a_share_of_the_training_rows_is_kept(tmp_path: Path) -> None:
    assert estimated(tmp_path).most_kept == 60
    assert estimated(tmp_path, keep={"max_share": 0.25}).most_kept == 20
    assert estimated(tmp_path, rows=10).most_kept == 10
    assert estimated(tmp_path, keep={"max_share": 0.6}).most_kept == 90, "90 of 150"


def test_training_rows_that_validate_allow_no_share(tmp_path: Path) -> None:
    estimated(tmp_path)
    recipe, _ = load_recipe(tmp_path / "recipe.yaml")
    drawn = replace(recipe, splits=replace(recipe.splits, validation=FROM_TRAIN))

    assert synthesis_estimate(drawn, Store(tmp_path / "store"), None).most_kept == 30


def test_without_a_price_no_cost_is_made_up(tmp_path: Path) -> None:
    assert estimated(tmp_path, teacher=SERVED).cost is None
    assert estimated(tmp_path, teacher={"path": "base"}).cost is None
