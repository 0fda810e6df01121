import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.evidence import Scores
from engine.kinds import KINDS
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.values import replace
from support.examples import examples
from support.metric_values import values
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
LABELS = ("a", "b", "c")
TASK = task("classification", labels=LABELS)
PARTS = ("precision", "recall", "f1")
MACRO = ("macro_f1", "macro_precision", "macro_recall")


def judged(predictions: list[Prediction], labels: tuple[str, ...] = ("a", "b")) -> Scores:
    return score(
        predictions, Judging(task=task("classification", labels=labels), confidence=0.95, seed=7)
    )


def test_a_hand_computed_case(answers: Answers) -> None:
    scores = judged(answers({"a": "aaab", "b": "ab-b"}))

    found = {metric.name: metric.value for metric in scores.metrics if metric.value is not None}
    assert scores.confusion == ((3, 1, 0), (1, 2, 1))
    assert pytest.approx(found) == {
        "accuracy": 5 / 8,
        "balanced_accuracy": (3 / 4 + 2 / 4) / 2,
        "macro_f1": (6 / 8 + 4 / 7) / 2,
        "macro_precision": (3 / 4 + 2 / 3) / 2,
        "macro_recall": (3 / 4 + 2 / 4) / 2,
        "micro_f1": 10 / 15,
        "micro_precision": 5 / 7,
        "micro_recall": 5 / 8,
        "weighted_f1": (6 / 8 + 4 / 7) / 2,
        "weighted_precision": (3 / 4 + 2 / 3) / 2,
        "weighted_recall": (3 / 4 + 2 / 4) / 2,
        "mcc": (5 * 8 - 4 * 4 - 4 * 3) / np.sqrt((64 - 32) * (64 - 16 - 9 - 1)),
        "abstention": 1 / 8,
        "valid_output": 7 / 8,
        "precision.a": 3 / 4,
        "recall.a": 3 / 4,
        "f1.a": 6 / 8,
        "precision.b": 2 / 3,
        "recall.b": 2 / 4,
        "f1.b": 4 / 7,
    }


def test_every_metric_that_recipes_may_name_is_computed(answers: Answers) -> None:
    scores = judged(answers({"a": "a", "b": "b"}))

    named = {spec.name for spec in KINDS["classification"].metrics}
    assert named == {metric.name.partition(".")[0] for metric in scores.metrics}


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
    assert scores.metric("weighted_recall").value == 0.5


def test_a_class_never_predicted_has_no_precision_but_an_f1_of_zero(answers: Answers) -> None:
    scores = judged(answers({"a": "aa", "b": "aa"}))

    precision = scores.metric("precision.b")
    assert (precision.value, precision.undefined) == (None, "`b` was never predicted")
    assert scores.metric("f1.b").value == 0.0
    assert scores.metric("macro_precision").value == 0.25
    assert scores.metric("mcc").value == 0.0
    assert scores.classes[1].precision is None


def test_rows_of_one_class_have_no_correlation(answers: Answers) -> None:
    metric = judged(answers({"a": "ab"})).metric("mcc")

    assert (metric.value, metric.undefined) == (None, "all rows are of `a`")


def test_outputs_that_are_all_invalid_score_nothing(answers: Answers) -> None:
    scores = judged(answers({"a": "--", "b": "---"}))

    for name in ("accuracy", "macro_f1", "weighted_precision", "mcc", "valid_output", "f1.a"):
        assert scores.metric(name).value == 0.0
    assert scores.metric("abstention").value == 1.0
    assert scores.metric("micro_precision").undefined == "no label was predicted"


def test_no_rows_leave_everything_undefined() -> None:
    scores = judged([])

    assert scores.rows == 0
    assert all(metric.value is None and metric.undefined for metric in scores.metrics)
    assert all(metric.interval is None for metric in scores.metrics)
    assert scores.calibration is None


def test_an_interval_does_not_collapse_when_all_rows_are_right(answers: Answers) -> None:
    scores = judged(answers({"a": "a" * 50, "b": "b" * 50}))

    for metric in scores.metrics:
        if metric.name not in ("ece", "brier", "abstention"):
            assert metric.value == 1.0
            assert metric.interval is not None
            assert metric.interval.low < 0.995
            assert metric.interval.high == 1.0


def test_every_interval_names_its_method_and_holds_its_value(answers: Answers) -> None:
    scores = judged(answers({"a": "aaaab", "b": "a-bbb"}))

    for metric in scores.metrics:
        if metric.value is not None:
            assert metric.interval is not None
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


Rows = list[tuple[str, str | None]]


@settings(max_examples=examples(30), deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(LABELS), st.sampled_from((*LABELS, None))),
        min_size=1,
        max_size=40,
    )
)
@example(rows=[("a", "b")])
@example(rows=[("a", None), ("b", None), ("c", None)])
@example(rows=[("a", "b"), ("b", "c"), ("c", "a")])
@example(rows=[("a", "a"), ("b", "a"), ("c", "a")])
def test_values_equal_those_of_scikit_learn(rows: Rows) -> None:
    from sklearn import metrics as reference

    targets, outputs = zip(*((target, label or "invalid") for target, label in rows), strict=True)
    found = values(predicted(rows), TASK)

    expected = {"accuracy": reference.accuracy_score(targets, outputs)}
    for average in ("macro", "micro", "weighted"):
        theirs = reference.precision_recall_fscore_support(
            targets, outputs, labels=LABELS, average=average, zero_division=0
        )
        expected |= {f"{average}_{part}": theirs[place] for place, part in enumerate(PARTS)}
    parts = reference.precision_recall_fscore_support(
        targets, outputs, labels=LABELS, zero_division=0
    )
    recalls = [recall for recall, support in zip(parts[1], parts[3], strict=True) if support]
    expected["balanced_accuracy"] = np.mean(recalls)  # as scikit-learn, which warns of `invalid`
    expected["mcc"] = correlation(targets, outputs)
    for place, part in enumerate(PARTS):
        expected |= {f"{part}.{name}": parts[place][k] for k, name in enumerate(LABELS)}
    for name, value in expected.items():
        if isinstance(found[name], str):
            assert name.startswith("macro") or value == 0  # a class absent, or zero_division
        else:
            assert pytest.approx(value) == found[name], name


def test_balanced_accuracy_is_scikit_learns(answers: Answers) -> None:
    from sklearn.metrics import balanced_accuracy_score

    rows = answers({"a": "aab", "b": "aabb"})
    expected = balanced_accuracy_score([row.target for row in rows], [row.label for row in rows])

    assert pytest.approx(expected) == judged(rows, LABELS).metric("balanced_accuracy").value


def correlation(targets: Sequence[str], outputs: Sequence[str]) -> float:
    from sklearn.metrics import matthews_corrcoef

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a single label on both sides
        return float(matthews_corrcoef(targets, outputs))


def predicted(rows: Rows) -> list[Prediction]:
    return [
        Prediction(id=f"{place:05}", target=target, label=label, text=label or "", probability=None)
        for place, (target, label) in enumerate(rows)
    ]


def test_the_label_for_none_of_these_counts_as_abstention(answers: Answers) -> None:
    asked = task("classification", labels=("a", "b", "oos"), out_of_scope="oos")
    rows = [*answers({"a": "aa-", "b": "b"}), *predicted([("a", "oos"), ("oos", "oos")])]

    assert (
        score(rows, Judging(task=asked, confidence=0.95, seed=7)).metric("abstention").value
        == 3 / 6
    )


Chances = list[tuple[str, tuple[float, float, float]]]


@settings(max_examples=examples(20), deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(LABELS),
            st.tuples(*[st.integers(0, 30)] * 3)
            .filter(any)
            .map(lambda n: tuple(x / sum(n) for x in n)),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_calibration_equals_the_definitions(rows: Chances) -> None:
    from sklearn.metrics import brier_score_loss

    made = []
    for place, (target, chances) in enumerate(rows):
        best = int(np.argmax(chances))
        one = Prediction(
            id=f"{place:05}",
            target=target,
            label=LABELS[best],
            text="",
            probability=chances[best],
            probabilities=chances,
        )
        made.append(one)
    found = values(made, TASK)

    chosen = np.array([row.probability for row in made])
    right = np.array([row.label == row.target for row in made])
    gaps = 0.0
    for place in range(15):
        held = (chosen > place / 15) & (chosen <= (place + 1) / 15)
        if held.any():
            gaps += held.sum() * abs(chosen[held].mean() - right[held].mean())
    assert pytest.approx(gaps / len(rows)) == found["ece"]
    expected = brier_score_loss(
        [target for target, _ in rows],
        [chances for _, chances in rows],
        labels=LABELS,
        scale_by_half=False,
    )
    assert pytest.approx(expected) == found["brier"]


def test_the_brier_score_of_the_answer_alone_is_its_squared_error(answers: Answers) -> None:
    rows = [replace(row, probability=0.8) for row in answers({"a": "aa", "b": "ab"})]

    scores = judged(rows)

    assert pytest.approx((3 * 0.04 + 0.64) / 4) == scores.metric("brier").value
    assert pytest.approx(0.05) == scores.metric("ece").value
    interval = scores.metric("brier").interval
    assert interval is not None
    assert 0 <= interval.low < 0.19 < interval.high < 1
    assert scores.calibration is not None
    assert scores.calibration.ece == scores.metric("ece").value
    assert [(one.rows, one.accuracy) for one in scores.calibration.bins if one.rows] == [(4, 0.75)]


def test_probabilities_that_some_rows_lack_calibrate_nothing(answers: Answers) -> None:
    rows = answers({"a": "aa", "b": "bb"})

    scores = judged([replace(rows[0], probability=0.9), *rows[1:]])

    assert scores.metric("ece").undefined == "answers have no probabilities"
    assert scores.calibration is None


def test_intervals_of_means_over_labels_are_as_wide_as_chance_makes_them() -> None:
    """Of 20 labels with five rows each, four of them right: 1.96 standard errors to both sides are 0.175."""
    labels = tuple(map(str, range(20)))
    rows = [
        Prediction(
            id=f"{place}-{row}",
            target=label,
            label=labels[place - 1] if row == 0 else label,
            text="",
            probability=None,
        )
        for place, label in enumerate(labels)
        for row in range(5)
    ]

    found = {metric.name: metric for metric in judged(rows, labels).metrics}

    for name in ("balanced_accuracy", "macro_recall", "macro_precision"):
        interval = found[name].interval
        assert interval is not None
        assert interval.high - interval.low > 0.155
