from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from filling import task
from judging import examples

from engine.data.example import Example
from engine.evidence import to_json
from engine.metrics.predictions import Prediction
from engine.metrics.scoring import score
from engine.recipe.model import Acceptance, Threshold
from engine.stages.baseline import load_baselines, pick_shots


def labelled(labels: list[str], *, length: int = 10) -> list[Example]:
    return [
        Example(id=f"{place:016x}", origin="", input=f"{place} " * length, target=label)
        for place, label in enumerate(labels * 30)
    ]


@pytest.mark.parametrize(
    ("labels", "shots", "each"),
    [(2, 4, {2}), (8, 16, {2}), (9, 9, {1}), (16, 16, {1}), (77, 16, {1})],
)
def test_shots_are_two_a_label_up_to_sixteen(labels: int, shots: int, each: set[int]) -> None:
    names = [f"label {place}" for place in range(labels)]

    found = pick_shots(labelled(names), names, seed=7)

    assert len(found) == shots
    assert set(Counter(label for _, label in found).values()) == each


def test_shots_depend_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rows, labels = examples(60), ("negative", "positive")

    assert pick_shots(rows, labels, seed=7) == pick_shots(rows[::-1], labels, seed=7)
    assert pick_shots(rows, labels, seed=7) != pick_shots(rows, labels, seed=8)


def test_long_texts_are_no_shots_while_there_are_short_ones() -> None:
    short, long = labelled(["a", "b"]), labelled(["a", "b"], length=500)
    long = [replace(row, id=f"f{row.id[1:]}") for row in long]

    found = pick_shots([*long, *short], ("a", "b"), seed=7)

    assert max(len(text) for text, _ in found) < 400
    assert len(pick_shots(long, ("a", "b"), seed=7)) == 4


def test_whether_a_baseline_passes_is_judged_by_the_thresholds_of_today(tmp_path: Path) -> None:
    rows = [
        Prediction(id=str(place), target=label, label=label, text=label, probability=None)
        for place, label in enumerate(["a", "b"] * 50)
    ]
    scores = score(rows, task("classification", labels=("a", "b")), confidence=0.95, seed=7)
    file = tmp_path / "baselines.json"
    result = {"name": "tfidf_svm", "scores": to_json(scores), "seconds": 1.5, "note": "how"}
    file.write_text(json.dumps([result]), encoding="utf-8")

    def passes(bound: float) -> bool:
        acceptance = Acceptance(
            confidence=0.95,
            decide_on="lower_bound",
            metrics=(Threshold(metric="macro_f1", direction="min", bound=bound),),
            over_baselines=(),
            max_overfitting_gap=None,
        )
        (found,) = load_baselines(file, acceptance)
        assert (found.name, found.seconds, found.note, found.scores) == (
            "tfidf_svm",
            1.5,
            "how",
            scores,
        )
        return found.passes

    assert passes(0.9)
    assert not passes(0.99)
