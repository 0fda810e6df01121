"""Which answers of a teacher are kept, and what a confidence would keep."""

from __future__ import annotations

import pytest

from engine.evidence import KeptAtConfidence
from engine.inference.teacher import kept_by_confidence, why_refused
from engine.metrics.predictions import Prediction


def prediction(label: str | None, probability: float | None, target: str = "yes") -> Prediction:
    return Prediction(
        id="0", target=target, label=label, text=label or "?", probability=probability
    )


@pytest.mark.parametrize(
    ("row", "bound", "why"),
    [
        (prediction("yes", 0.8), 0.8, ""),
        (prediction("yes", 0.79), 0.8, "below the confidence"),
        (prediction("yes", None), None, ""),
        (prediction("yes", None), 0.5, "below the confidence"),
        (prediction(None, 0.99), None, "not an answer of the task"),
    ],
)
def test_an_answer_is_kept_by_its_form_and_its_confidence(
    row: Prediction, bound: float | None, why: str
) -> None:
    assert why_refused(row, min_confidence=bound) == why


def test_a_confidence_is_shown_with_what_it_keeps_and_how_much_of_that_is_right() -> None:
    rows = [
        prediction("yes", 0.95),
        prediction("no", 0.85),
        prediction("yes", 0.55),
        prediction("yes", 0.65, "no"),
    ]

    found = {one.confidence: one for one in kept_by_confidence(rows, also=0.82)}

    assert found[0.5] == KeptAtConfidence(confidence=0.5, kept=1.0, right=0.5)
    assert found[0.82] == KeptAtConfidence(confidence=0.82, kept=0.5, right=0.5)
    assert found[0.95] == KeptAtConfidence(confidence=0.95, kept=0.25, right=1.0)
    assert kept_by_confidence([prediction("yes", None)], also=None) == ()
