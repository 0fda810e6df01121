from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from engine.metrics.classification import score
from engine.metrics.predictions import Prediction
from engine.metrics.resampling import swap
from engine.metrics.tally import Tally, code, metric_values

Answers = Callable[[Mapping[str, str]], list[Prediction]]
LABELS = ("a", "b")


def test_every_metric_has_the_value_that_the_scores_tell(answers: Answers) -> None:
    rows = answers({"a": "aaab-", "b": "abbb-"})
    counts, _ = swap(code(LABELS, rows, rows), seed=1)  # swapping equals leaves plain counts

    metrics = score(rows, LABELS, confidence=0.95, seed=7).metrics

    for metric in metrics:
        values = metric_values(metric.name, counts, labels=LABELS)
        assert pytest.approx(metric.value) == values[0], metric.name
    assert len(metrics) == 11


def test_a_ratio_over_nothing_counts_as_zero() -> None:
    nothing = np.zeros(2)
    counts = Tally(
        rows=np.zeros(()), valid=np.zeros(()), support=nothing, predicted=nothing, right=nothing
    )

    for name in ("accuracy", "valid_output", "macro_f1", "precision.a"):
        assert metric_values(name, counts, labels=LABELS) == 0.0


def test_a_metric_nobody_defined_is_a_bug(answers: Answers) -> None:
    rows = answers({"a": "a", "b": "b"})
    counts, _ = swap(code(LABELS, rows, rows), seed=1)

    with pytest.raises(KeyError, match="bleu"):
        metric_values("bleu", counts, labels=LABELS)
