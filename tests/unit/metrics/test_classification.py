from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evidence import Scores
from engine.metrics.classification import MACRO, agreement, named_metrics, score
from engine.metrics.predictions import Prediction

Answers = Callable[[Mapping[str, str]], list[Prediction]]
LABELS = ("a", "b", "c")


def judged(predictions: list[Prediction], labels: tuple[str, ...] = ("a", "b")) -> Scores:
    return score(predictions, labels, confidence=0.95, seed=7)


def test_a_hand_computed_case(answers: Answers) -> None:
    scores = judged(answers({"a": "aaab", "b": "ab-b"}))

    found = {metric.name: metric.value for metric in scores.metrics}
    assert scores.confusion == ((3, 1, 0), (1, 2, 1))
    assert pytest.approx(found) == {
        "accuracy": 5 / 8,
        "macro_f1": (6 / 8 + 4 / 7) / 2,
        "macro_precision": (3 / 4 + 2 / 3) / 2,
        "macro_recall": (3 / 4 + 2 / 4) / 2,
        "valid_output": 7 / 8,
        "precision.a": 3 / 4,
        "recall.a": 3 / 4,
        "f1.a": 6 / 8,
        "precision.b": 2 / 3,
        "recall.b": 2 / 4,
        "f1.b": 4 / 7,
    }


def test_metrics_of_a_class_stand_on_its_rows(answers: Answers) -> None:
    scores = judged(answers({"a": "aaab", "b": "a-"}))

    rows = {metric.name: metric.n for metric in scores.metrics}
    assert (rows["recall.a"], rows["f1.a"], rows["precision.a"]) == (4, 4, 4)
    assert (rows["recall.b"], rows["f1.b"], rows["precision.b"]) == (2, 2, 1)
    assert (rows["accuracy"], rows["macro_f1"], rows["valid_output"]) == (6, 6, 6)


def test_output_that_is_no_label_is_wrong_and_predicts_no_class(answers: Answers) -> None:
    scores = judged(answers({"a": "a-", "b": "b"}))

    assert scores.confusion == ((1, 0, 1), (0, 1, 0))
    assert [row.predicted for row in scores.classes] == [1, 1]
    assert scores.metric("recall.a").value == 0.5


def test_a_label_outside_the_task_counts_as_no_label(answers: Answers) -> None:
    assert judged(answers({"a": "z", "b": "b"})).confusion == ((0, 0, 1), (0, 1, 0))


def test_a_class_without_rows_leaves_macro_averages_undefined(answers: Answers) -> None:
    scores = judged(answers({"a": "ab"}))

    for name in (*MACRO, "recall.b", "f1.b"):
        metric = scores.metric(name)
        assert (metric.value, metric.interval) == (None, None)
        assert metric.undefined == "no rows of `b`"
    assert scores.metric("accuracy").value == 0.5


def test_a_class_never_predicted_has_no_precision_but_an_f1_of_zero(answers: Answers) -> None:
    scores = judged(answers({"a": "aa", "b": "aa"}))

    precision = scores.metric("precision.b")
    assert (precision.value, precision.undefined) == (None, "`b` was never predicted")
    assert scores.metric("f1.b").value == 0.0
    assert scores.metric("macro_precision").value == 0.25
    assert scores.classes[1].precision is None


def test_no_rows_leave_everything_undefined() -> None:
    scores = judged([])

    assert scores.rows == 0
    assert all(metric.value is None and metric.undefined for metric in scores.metrics)
    assert all(metric.interval is None for metric in scores.metrics)


def test_an_interval_does_not_collapse_when_all_rows_are_right(answers: Answers) -> None:
    scores = judged(answers({"a": "a" * 50, "b": "b" * 50}))

    for metric in scores.metrics:
        assert metric.value == 1.0
        assert metric.interval is not None
        assert metric.interval.low < 0.995
        assert metric.interval.high == 1.0


def test_every_interval_names_its_method_and_holds_its_value(answers: Answers) -> None:
    scores = judged(answers({"a": "aaaab", "b": "a-bbb"}))

    for metric in scores.metrics:
        assert metric.interval is not None
        assert metric.value is not None
        assert metric.interval.method
        assert metric.interval.low <= metric.value <= metric.interval.high


def test_the_same_seed_gives_the_same_scores_and_row_order_does_not_matter_to_values(
    answers: Answers,
) -> None:
    predictions = answers({"a": "aaab", "b": "ab-b"})

    assert judged(predictions) == judged(predictions)
    assert judged(predictions).confusion == judged(predictions[::-1]).confusion


def test_four_times_the_rows_give_about_half_the_interval(answers: Answers) -> None:
    few = judged(answers({"a": "aaaab" * 10, "b": "bbbba" * 10})).metric("macro_f1").interval
    many = judged(answers({"a": "aaaab" * 40, "b": "bbbba" * 40})).metric("macro_f1").interval

    assert few is not None
    assert many is not None
    assert 1.8 < (few.high - few.low) / (many.high - many.low) < 2.2


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from((*LABELS, None))), min_size=1)
)
def test_values_equal_those_of_scikit_learn(rows: list[tuple[str, str | None]]) -> None:
    from sklearn import metrics as reference

    rows = [*rows, *((label, "a") for label in LABELS)]
    predictions = [
        Prediction(id=str(place), target=target, label=label, text="", probability=None)
        for place, (target, label) in enumerate(rows)
    ]
    targets, outputs = zip(*((target, label or "invalid") for target, label in rows), strict=True)
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        targets, outputs, labels=LABELS, zero_division=0
    )

    scores = judged(predictions, LABELS)

    assert scores.metric("accuracy").value == reference.accuracy_score(targets, outputs)
    for place, row in enumerate(scores.classes):
        assert (row.precision or 0.0, row.recall, row.f1) == pytest.approx(
            (precision[place], recall[place], f1[place])
        )
        assert row.support == support[place]
    for name, expected in zip(MACRO, (f1, precision, recall), strict=True):
        assert pytest.approx(expected.mean()) == scores.metric(name).value


def test_valid_output_of_the_gate_comes_from_free_decoding(answers: Answers) -> None:
    constrained = judged(answers({"a": "aa", "b": "bb"}))
    free = judged(answers({"a": "a-", "b": "bb"}))

    metrics = named_metrics(constrained, free=free)

    assert metrics["valid_output"].value == 0.75
    assert metrics["accuracy"].value == 1.0
    assert named_metrics(constrained)["valid_output"].value == 1.0


def test_agreement_is_the_share_of_equal_labels(answers: Answers) -> None:
    metric = agreement(answers({"a": "ab-b"}), answers({"a": "ab-a"})[::-1], confidence=0.95)

    assert (metric.name, metric.value, metric.n) == ("agreement", 0.5, 4)
    assert metric.interval is not None
