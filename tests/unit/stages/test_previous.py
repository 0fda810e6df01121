from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from judging import Bench, make_bench

from engine.metrics.comparing import Earlier
from engine.metrics.predictions import Prediction, write_predictions
from engine.stages.previous import GONE, earlier, find_previous
from engine.store import make_key
from engine.store.runs import AcceptedRun


def rows(count: int, *, target: str = "negative") -> list[Prediction]:
    return [
        Prediction(id=f"{n:016x}", target=target, label="negative", text="", probability=None)
        for n in range(count)
    ]


def accepted(bench: Bench, train: str, answers: list[Prediction] | None) -> AcceptedRun:
    """A run of a model trained under that key; without answers in the store where None."""
    key = make_key({"evaluate": train})
    if answers is not None:

        def build(folder: Path) -> None:
            write_predictions(folder / "predictions.holdout.jsonl", answers)

        bench.store.put("evaluate", key, build)
    keys = {"train": train, "evaluate": key.digest}
    return AcceptedRun(folder=bench.folder / train, keys=keys, started="2026-11-23T10:00:00+00:00")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


def test_the_newest_accepted_model_is_taken(bench: Bench) -> None:
    runs = [accepted(bench, name, rows(3)) for name in ("newer", "older")]

    found = find_previous(bench.recipe, bench.store, runs, train="mine")

    assert found is not None
    assert found.run is runs[0]


def test_a_model_is_not_its_own_rival(bench: Bench) -> None:
    runs = [accepted(bench, name, rows(3)) for name in ("mine", "older")]

    found = find_previous(bench.recipe, bench.store, runs, train="mine")

    assert found is not None
    assert found.run is runs[1]
    assert find_previous(bench.recipe, bench.store, runs[:1], train="mine") is None


def test_its_identity_is_that_of_its_answers(bench: Bench) -> None:
    first, second, same = (
        find_previous(bench.recipe, bench.store, [accepted(bench, name, rows(count))], train="mine")
        for name, count in (("a", 3), ("b", 4), ("c", 3))
    )

    assert first is not None
    assert second is not None
    assert same is not None
    assert first.identity() == same.identity() != second.identity()


def test_answers_to_the_same_rows_are_read(bench: Bench) -> None:
    found = find_previous(
        bench.recipe, bench.store, [accepted(bench, "older", rows(3))], train="mine"
    )

    assert earlier(found, rows(3), recipe=bench.recipe) == Earlier(
        answers=rows(3), accepted="2026-11-23"
    )


def test_answers_that_are_gone_cannot_be_compared(bench: Bench) -> None:
    found = find_previous(bench.recipe, bench.store, [accepted(bench, "x", None)], train="mine")

    assert earlier(found, rows(3), recipe=bench.recipe).why_not == GONE


@pytest.mark.parametrize(
    ("answers", "shared"), [(rows(2), 2), (rows(4), 3), (rows(3, target="positive"), 0)]
)
def test_answers_to_other_rows_cannot_be_compared(
    bench: Bench, answers: list[Prediction], shared: int
) -> None:
    found = find_previous(
        bench.recipe, bench.store, [accepted(bench, "older", answers)], train="mine"
    )

    told = earlier(found, rows(3), recipe=bench.recipe)

    assert not told.is_comparable
    assert told.answers == ()
    assert f"{shared} of whose {len(answers)} rows" in told.why_not


def test_with_folds_the_answers_to_all_rows_count(bench: Bench) -> None:
    recipe = replace(bench.recipe, splits=replace(bench.recipe.splits, folds=5))

    found = find_previous(recipe, bench.store, [accepted(bench, "older", rows(3))], train="mine")

    assert found is not None
    assert found.file == "predictions.folds.jsonl"
    assert earlier(found, rows(3), recipe=bench.recipe).why_not == GONE


def test_nothing_came_before_the_first_model(bench: Bench) -> None:
    assert earlier(None, rows(3), recipe=bench.recipe) == Earlier()
