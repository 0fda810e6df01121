"""Which answers of a teacher are kept, and what a confidence would keep."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.evidence import KeptAtConfidence
from engine.inference.synthesis import TAUGHT_PART, ask_teacher, kept_by_confidence, why_refused
from engine.metrics.predictions import Prediction, write_predictions
from engine.recipe.model import Baseline


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


def test_a_baseline_is_trained_once_and_asked_anew_where_its_training_rows_are_others(
    tmp_path: Path,
) -> None:
    asked: list[tuple[Fold, dict[str, str]]] = []

    def product(baseline: Baseline, fold: Fold, *, rows: dict[str, str]) -> Any:
        del baseline
        asked.append((fold, rows))
        write_predictions(
            tmp_path / "predictions.jsonl", [prediction("yes", None)] * len(fold.judged)
        )
        return SimpleNamespace(file=tmp_path.joinpath)

    def ask(data: str, count: int = TAUGHT_PART + 1) -> int:
        context = SimpleNamespace(
            inputs={"data": data},
            progress=SimpleNamespace(update=lambda *_: None),
            recipe=SimpleNamespace(splits=SimpleNamespace(seed=7), task=None),
        )
        asker: Any = SimpleNamespace(context=context, product=product)
        baseline = Baseline(kind="tfidf_svm", name="tfidf_svm")
        found = ask_teacher(asker, baseline, rows[:count], shown=rows[:2], validation=rows[2:3])
        return len(found.predictions)

    rows = [
        Example(id=str(number), origin="", input=f"text {number}", target="")
        for number in range(TAUGHT_PART + 1)
    ]

    assert [ask("one"), ask("other"), ask("one"), ask("one", 0)] == [TAUGHT_PART + 1] * 3 + [0]
    (fold, first), (_, second), (_, third) = asked
    assert first == third != second
    assert (fold.train, fold.validation) == (tuple(rows[:2]), tuple(rows[2:3]))
