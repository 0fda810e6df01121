import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.evidence import Scores
from engine.kinds import KINDS
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.recipe.prompt import joined_labels
from support.examples import examples
from support.metric_values import values
from support.tasks import task

LABELS = ("a", "b", "c")
TASK = task("multilabel", labels=LABELS)
Sets = list[tuple[set[str], set[str] | None]]


def predicted(rows: Sets, probability: float | None = None) -> list[Prediction]:
    return [
        Prediction(
            id=f"{place:05}",
            target=joined_labels(TASK, sorted(target)),
            label=None if output is None else joined_labels(TASK, sorted(output)),
            text="",
            probability=probability,
        )
        for place, (target, output) in enumerate(rows)
    ]


def judged(rows: Sets, probability: float | None = None) -> Scores:
    return score(predicted(rows, probability), Judging(task=TASK, confidence=0.95, seed=7))


def test_a_hand_computed_case() -> None:
    scores = judged([({"a", "b"}, {"a"}), (set(), set()), ({"c"}, None), ({"b"}, {"b", "c"})])

    found = {metric.name: metric.value for metric in scores.metrics if metric.value is not None}
    assert pytest.approx(found) == {
        "accuracy": 1 / 4,
        "macro_f1": (1 + 2 / 3 + 0) / 3,
        "macro_precision": (1 + 1 + 0) / 3,
        "macro_recall": (1 + 1 / 2 + 0) / 3,
        "micro_f1": 4 / 7,
        "micro_precision": 2 / 3,
        "micro_recall": 2 / 4,
        "weighted_f1": (1 + 2 * 2 / 3 + 0) / 4,
        "weighted_precision": (1 + 2 + 0) / 4,
        "weighted_recall": (1 + 2 * 1 / 2 + 0) / 4,
        "mcc": (1 + 1 / np.sqrt(3) - 1 / 3) / 3,
        "hamming_loss": (1 + 0 + 3 + 1) / 12,  # an invalid answer has every label wrong
        "abstention": 2 / 4,
        "valid_output": 3 / 4,
        "precision.a": 1.0,
        "recall.a": 1.0,
        "f1.a": 1.0,
        "precision.b": 1.0,
        "recall.b": 1 / 2,
        "f1.b": 2 / 3,
        "precision.c": 0.0,
        "recall.c": 0.0,
        "f1.c": 0.0,
    }
    assert scores.confusion == ()
    assert [(row.support, row.predicted) for row in scores.classes] == [(1, 1), (2, 1), (1, 1)]


def test_every_metric_that_recipes_may_name_is_computed() -> None:
    named = {spec.name for spec in KINDS["multilabel"].metrics}

    assert named == {metric.name.partition(".")[0] for metric in judged([({"a"}, {"a"})]).metrics}


SETS = st.frozensets(st.sampled_from(LABELS)).map(set)


@settings(max_examples=examples(30), deadline=None)
@given(rows=st.lists(st.tuples(SETS, SETS | st.none()), min_size=1, max_size=30))
@example(rows=[(set(), set())])
@example(rows=[({"a"}, None), ({"b"}, None)])
@example(rows=[({"a", "b", "c"}, set())])
def test_values_equal_those_of_scikit_learn(rows: Sets) -> None:
    from sklearn import metrics as reference

    targets = np.array([[label in target for label in LABELS] for target, _ in rows], dtype=int)
    outputs = np.array(
        [[label in (output or ()) for label in LABELS] for _, output in rows], dtype=int
    )
    valid = np.array([output is not None for _, output in rows])
    found = values(predicted(rows), TASK)

    exact = (targets == outputs).all(axis=1) & valid
    flipped = np.where(valid[:, None], outputs, 1 - targets)
    expected = {
        "accuracy": exact.mean(),
        "hamming_loss": reference.hamming_loss(targets, flipped),
        "mcc": np.mean([correlation(targets[:, k], outputs[:, k]) for k in range(3)]),
    }
    for average in ("macro", "micro", "weighted"):
        theirs = reference.precision_recall_fscore_support(
            targets, outputs, average=average, zero_division=0
        )
        parts = ("precision", "recall", "f1")
        expected |= {f"{average}_{part}": theirs[place] for place, part in enumerate(parts)}
    for name, value in expected.items():
        if isinstance(found[name], str):
            assert name.startswith(("macro", "mcc")) or value == 0
        else:
            assert pytest.approx(value) == found[name], name


def correlation(targets: Any, outputs: Any) -> float:
    from sklearn.metrics import matthews_corrcoef

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a single label on both sides
        return float(matthews_corrcoef(targets, outputs))


def test_a_label_that_all_rows_have_correlates_with_nothing() -> None:
    assert judged([({"a"}, {"a"}), ({"a", "b"}, {"a"})]).metric("mcc").undefined == (
        "all rows of `a`"
    )


def test_no_labels_anywhere_leave_averages_undefined() -> None:
    scores = judged([(set(), {"a"}), (set(), set())])

    assert scores.metric("weighted_f1").undefined == "no row has any"
    assert scores.metric("accuracy").value == 0.5


def test_all_right_is_not_certainty() -> None:
    scores = judged([({"a"}, {"a"}), ({"b", "c"}, {"b", "c"})] * 20, probability=0.9)

    for metric in scores.metrics:
        assert metric.interval is not None, metric.name
        assert metric.interval.low < metric.interval.high, metric.name
    assert pytest.approx(0.01) == scores.metric("brier").value
    assert pytest.approx(0.1) == scores.metric("ece").value


def test_no_rows_leave_everything_undefined() -> None:
    assert all(metric.value is None and metric.undefined for metric in judged([]).metrics)
