"""Whether a baseline passes as one of several: what a bundle's numbers can contradict, and what they cannot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.bundle.gate_checks import _surely_passes
from engine.evidence import Scores
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.metrics.verdict import baseline_passes
from engine.recipe.model import Acceptance, Threshold
from support.tasks import task

TASK = task("classification", labels=("a", "b"))


def asking(bound: float) -> Any:
    acceptance = Acceptance(
        confidence=0.95,
        decide_on="lower_bound",
        metrics=(Threshold(metric="accuracy", direction="min", bound=bound),),
        over_baselines=(),
        max_overfitting_gap=None,
    )
    return SimpleNamespace(acceptance=acceptance)


def scores(wrong: int, confidence: float = 0.95) -> Scores:
    rows = [
        Prediction(
            id=str(place),
            target="a" if place % 2 else "b",
            label="a" if (place % 2) != (place < wrong) else "b",
            text="",
            probability=None,
        )
        for place in range(100)
    ]
    return score(rows, Judging(task=TASK, confidence=confidence, seed=7))


@pytest.mark.parametrize(("bound", "surely"), [(0.7, True), (0.81, False), (0.95, False)])
def test_a_baseline_far_above_the_threshold_passes_among_any_number(
    bound: float, *, surely: bool
) -> None:
    assert _surely_passes(scores(10), asking(bound), 5) is surely


@pytest.mark.parametrize("wrong", [0, 1, 5, 30])
@pytest.mark.parametrize("baselines", [2, 5, 9])
def test_what_surely_passes_does_at_the_corrected_confidence(wrong: int, baselines: int) -> None:
    wider = scores(wrong, 1 - 0.05 / baselines)

    for bound in range(50, 100):
        asked = asking(bound / 100)
        if _surely_passes(scores(wrong), asked, baselines):
            assert baseline_passes(wider, asked.acceptance)


def test_of_one_baseline_the_numbers_tell_all() -> None:
    for bound in range(50, 100):
        asked, found = asking(bound / 100), scores(10)
        assert _surely_passes(found, asked, 1) is baseline_passes(found, asked.acceptance)
