"""What the quantized file misses of the tuned model's thresholds, and nobody asked of it, is a warning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.metrics.verdict import missed_by_file
from engine.recipe.model import MaxDrop, Threshold
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
TASK = task("classification", labels=("a", "b"))
BOUNDS = (
    Threshold(metric="accuracy", direction="min", bound=0.8),
    Threshold(metric="valid_output", direction="min", bound=0.9),
    Threshold(metric="abstention", direction="max", bound=0.1),
)


def missed(answers: list[Prediction], free: list[Prediction], **export: Any) -> list[str]:
    judging = Judging(task=TASK, confidence=0.95, seed=7)
    recipe: Any = SimpleNamespace(
        acceptance=SimpleNamespace(metrics=BOUNDS),
        export=SimpleNamespace(**({"thresholds": (), "max_drops": ()} | export)),
    )
    return [*missed_by_file(score(answers, judging), score(free, judging), recipe)]


def test_a_threshold_that_the_file_misses_is_named_with_what_bounds_nothing(
    answers: Answers,
) -> None:
    poor = answers({"a": "a" * 7 + "b" * 3, "b": "b" * 7 + "a" * 3})

    (line,) = missed(poor, poor)
    assert line == (
        "the quantized file misses a threshold of the tuned model: accuracy 0.7, min 0.8; "
        "export.after_quantization bounds no accuracy"
    )


def test_no_warning_is_given_of_a_file_that_keeps_them(answers: Answers) -> None:
    good = answers({"a": "a" * 9 + "b", "b": "b" * 10})

    assert missed(good, good) == []


def test_what_free_decoding_shows_is_asked_of_it(answers: Answers) -> None:
    good = answers({"a": "a" * 10, "b": "b" * 10})
    free = answers({"a": "a" * 5 + "-" * 5, "b": "b" * 10})

    (line,) = missed(good, free)
    assert "valid_output 0.75, min 0.9" in line


@pytest.mark.parametrize(
    "export",
    [
        {"thresholds": (Threshold(metric="accuracy", direction="min", bound=0.6),)},
        {"max_drops": (MaxDrop(metric="accuracy", max_drop=0.2),)},
    ],
)
def test_what_the_recipe_bounds_is_decided_elsewhere(
    answers: Answers, export: dict[str, Any]
) -> None:
    poor = answers({"a": "a" * 7 + "b" * 3, "b": "b" * 7 + "a" * 3})

    assert missed(poor, poor, **export) == []
