import math
from collections.abc import Callable, Mapping

import pytest

from engine.evidence import Check, Interval, Metric, Scores, Status
from engine.metrics.intervals import wilson
from engine.metrics.power import OFTEN, ThresholdRule, pass_rate
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.metrics.verdict import (
    baseline_passes,
    judge,
    judge_drops,
    judge_gap,
    judge_thresholds,
    rows_to_decide,
    verdict,
)
from engine.recipe.model import Acceptance, Least, MaxDrop, Selective, Threshold
from engine.values import replace
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
TASK = task("classification", labels=("a", "b"))


def measured(
    value: float | None,
    low: float = 0.0,
    high: float = 1.0,
    *,
    n: int = 300,
    name: str = "macro_f1",
) -> Metric:
    interval = Interval(low=low, high=high, confidence=0.95, method="wilson")
    return Metric(name=name, value=value, n=n, interval=interval)


def accepting(**changes: object) -> Acceptance:
    values: dict[str, object] = {
        "confidence": 0.95,
        "decide_on": "lower_bound",
        "metrics": (Threshold(metric="accuracy", direction="min", bound=0.8),),
        "over_baselines": (),
        "max_overfitting_gap": None,
    }
    return Acceptance(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "low", "expected"),
    [
        (0.90, 0.85, Status.PASS),
        (0.90, 0.80, Status.PASS),  # equal to the bound
        (0.85, 0.79, Status.INCONCLUSIVE),
        (0.80, 0.75, Status.INCONCLUSIVE),
        (0.79, 0.70, Status.FAIL),  # though the interval reaches above the bound
    ],
)
def test_a_minimum_is_decided_on_the_lower_bound(
    value: float, low: float, expected: Status
) -> None:
    check = judge(measured(value, low, 0.95), direction="min", bound=0.8, decide_on="lower_bound")

    assert (expected, "lower bound") == (check.status, check.decided_on)


@pytest.mark.parametrize(
    ("value", "high", "expected"),
    [
        (0.10, 0.15, Status.PASS),
        (0.10, 0.20, Status.PASS),
        (0.15, 0.21, Status.INCONCLUSIVE),
        (0.21, 0.30, Status.FAIL),
    ],
)
def test_a_maximum_is_decided_on_the_upper_bound(
    value: float, high: float, expected: Status
) -> None:
    check = judge(measured(value, 0.05, high), direction="max", bound=0.2, decide_on="lower_bound")

    assert (expected, "upper bound") == (check.status, check.decided_on)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.81, Status.PASS), (0.80, Status.PASS), (0.79, Status.FAIL)]
)
def test_deciding_on_the_point_still_shows_the_interval(value: float, expected: Status) -> None:
    check = judge(measured(value, 0.1, 0.9), direction="min", bound=0.8, decide_on="point")

    assert (expected, "point") == (check.status, check.decided_on)
    assert check.interval is not None


def test_rounding_of_a_difference_does_not_decide() -> None:
    gap = measured(0.95 - 0.80)  # 0.1499999…, and 0.9 - 0.75 is 0.15 and a little

    assert judge(gap, direction="min", bound=0.15, decide_on="point").status is Status.PASS
    assert judge(gap, direction="max", bound=0.15, decide_on="point").status is Status.PASS


@pytest.mark.parametrize("decide_on", ["point", "lower_bound"])
@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize(
    "metric",
    [
        Metric(name="macro_f1", value=None, n=300, undefined="no rows of `b`"),
        measured(math.nan),
        measured(math.inf),
        measured(-math.inf),
        measured(0.9, 0.9, 0.9, n=0),
    ],
)
def test_a_number_that_is_not_there_never_passes(
    metric: Metric, direction: str, decide_on: str
) -> None:
    check = judge(metric, direction=direction, bound=0.0, decide_on=decide_on)  # type: ignore[arg-type]

    assert (check.status, check.got) == (Status.FAIL, None)
    assert check.note.startswith("not computed: ")


def test_an_interval_that_is_not_there_does_not_pass() -> None:
    metric = Metric(name="macro_f1", value=0.9, n=300)

    check = judge(metric, direction="min", bound=0.8, decide_on="lower_bound")

    assert check.status is Status.INCONCLUSIVE


def test_an_interval_of_nan_does_not_pass() -> None:
    check = judge(
        measured(0.9, math.nan, math.nan), direction="min", bound=0.8, decide_on="lower_bound"
    )

    assert check.status is Status.INCONCLUSIVE


def test_an_inconclusive_check_says_about_how_many_rows_would_decide() -> None:
    metric = measured(0.85, 0.75, 0.95, n=300)

    check = judge(metric, direction="min", bound=0.8, decide_on="lower_bound")

    assert rows_to_decide(metric, direction="min", bound=0.8) == 2500
    assert "about 2,500 rows would decide with power 0.80 (an estimate)" in check.note


@pytest.mark.parametrize(("right", "of", "bound"), [(86, 100, 0.8), (50, 60, 0.75), (93, 100, 0.9)])
def test_so_many_rows_decide_four_times_in_five_and_half_of_them_do_not(
    right: int, of: int, bound: float
) -> None:
    interval = wilson(right, of, confidence=0.95)
    metric = Metric(name="accuracy", value=right / of, n=of, interval=interval)

    rows = rows_to_decide(metric, direction="min", bound=bound)

    rule = ThresholdRule(bound=bound, confidence=0.95)
    assert rows is not None
    assert (
        pass_rate(right / of, rule, rows=rows)
        >= OFTEN
        > pass_rate(right / of, rule, rows=rows // 2)
    )


@pytest.mark.parametrize("value", [0.8, 0.8001])
def test_no_number_of_rows_is_named_for_a_value_on_the_bound(value: float) -> None:
    check = judge(measured(value, 0.7, 0.9), direction="min", bound=0.8, decide_on="lower_bound")

    assert check.status is Status.INCONCLUSIVE
    assert "too close to the bound" in check.note


FEW = Threshold(metric="f1.b", direction="min", bound=0.7)


@pytest.mark.parametrize("decide_on", ["point", "lower_bound"])
def test_a_class_with_few_rows_decides_nothing_by_either_rule(decide_on: str) -> None:
    metrics = {
        "accuracy": measured(0.9, n=300, name="accuracy"),
        "f1.b": measured(0.95, 0.8, 1.0, n=12, name="f1.b"),
    }

    (check,) = judge_thresholds((FEW,), metrics, decide_on=decide_on)  # type: ignore[arg-type]

    assert check.status is Status.INCONCLUSIVE
    assert check.note == (
        "only 12 rows of `b`: fewer than 30 decide nothing, about 750 holdout rows for 30"
    )


def test_a_class_with_few_rows_still_fails_below_its_bound() -> None:
    metrics = {"f1.b": measured(0.6, 0.3, 0.8, n=12, name="f1.b")}

    (check,) = judge_thresholds((FEW,), metrics, decide_on="point")

    assert (check.status, check.note) == (Status.FAIL, "only 12 rows of `b`")


@pytest.mark.parametrize(("n", "expected"), [(29, Status.INCONCLUSIVE), (30, Status.PASS)])
def test_thirty_rows_of_a_class_are_enough(n: int, expected: Status) -> None:
    metrics = {"f1.b": measured(0.95, 0.8, 1.0, n=n, name="f1.b")}

    (check,) = judge_thresholds((FEW,), metrics, decide_on="lower_bound")

    assert check.status is expected


def test_a_class_without_rows_fails() -> None:
    metrics = {"f1.b": Metric(name="f1.b", value=None, n=0, undefined="no rows of `b`")}

    (check,) = judge_thresholds((FEW,), metrics, decide_on="point")

    assert (check.status, check.note) == (Status.FAIL, "not computed: no rows of `b`")


def test_few_rows_of_all_are_no_matter_of_classes() -> None:
    threshold = Threshold(metric="accuracy", direction="min", bound=0.5)

    (check,) = judge_thresholds(
        (threshold,), {"accuracy": measured(1.0, 0.7, n=12)}, decide_on="lower_bound"
    )

    assert check.status is Status.PASS


def test_a_threshold_on_a_metric_that_was_not_measured_fails() -> None:
    threshold = Threshold(metric="f1.b", direction="max", bound=1.0)

    (check,) = judge_thresholds((threshold,), {}, decide_on="point")

    assert (check.status, check.note) == (Status.FAIL, "not computed: not measured")


def checked(*found: Status) -> Status:
    return verdict(
        Check(name="m", status=status, got=1.0, direction="min", bound=0.5, decided_on="point", n=1)
        for status in found
    ).status


def test_a_verdict_is_as_good_as_its_worst_check() -> None:
    ok, no, unsure, shown = Status.PASS, Status.FAIL, Status.INCONCLUSIVE, Status.WARN

    assert checked(ok, ok, shown) is Status.PASS
    assert checked(ok, unsure) is Status.INCONCLUSIVE
    assert checked(unsure, no, ok) is Status.FAIL


def test_nothing_checked_is_nothing_passed() -> None:
    assert verdict(()).status is Status.FAIL


@pytest.mark.parametrize(("max_gap", "expected"), [(0.25, Status.PASS), (0.2, Status.FAIL)])
def test_overfitting_is_train_minus_validation(
    max_gap: float, expected: Status, answers: Answers
) -> None:
    train = score(answers({"a": "aaaa", "b": "bbbb"}), Judging(task=TASK, confidence=0.95, seed=7))
    validation = score(
        answers({"a": "aaab", "b": "bbba"}), Judging(task=TASK, confidence=0.95, seed=7)
    )

    (check,) = judge_gap(max_gap, train=train, validation=validation, train_rows=400, task=TASK)

    assert (check.name, check.status, check.direction) == ("overfitting", expected, "max")
    assert check.got == 0.25
    assert check.note == "macro_f1 on 8 of 400 train rows minus 8 validation rows"


def test_the_overfitting_gap_has_an_interval_of_two_samples(answers: Answers) -> None:
    train = score(
        answers({"a": "a" * 90 + "b" * 10, "b": "b" * 100}),
        Judging(task=TASK, confidence=0.95, seed=7),
    )
    validation = score(
        answers({"a": "aaab" * 10, "b": "b" * 40}), Judging(task=TASK, confidence=0.95, seed=7)
    )

    (check,) = judge_gap(0.5, train=train, validation=validation, train_rows=200, task=TASK)

    widths = [x.metric("macro_f1").interval for x in (train, validation)]
    assert check.interval is not None
    assert check.got is not None
    assert check.interval.low < check.got < check.interval.high
    assert all(x is not None for x in widths)
    reaches = [x.high - x.low for x in widths if x is not None]
    assert max(reaches) < check.interval.high - check.interval.low < sum(reaches)


def test_where_less_is_better_the_gap_is_validation_minus_train() -> None:
    def scored(value: float) -> Scores:
        metric = measured(value, value - 0.1, value + 0.1, name="bits_per_byte")
        return Scores(rows=300, metrics=(metric,), classes=(), confusion=())

    (check,) = judge_gap(
        0.5, train=scored(1.0), validation=scored(1.75), train_rows=900, task=task("text")
    )

    assert (check.status, check.got) == (Status.FAIL, 0.75)
    assert check.note == "bits_per_byte on 300 validation rows minus 300 of 900 train rows"
    assert check.interval is not None
    assert check.interval.low == pytest.approx(0.75 - 0.1 * math.sqrt(2))


def test_overfitting_is_not_gated_without_a_bound(answers: Answers) -> None:
    scores = score(answers({"a": "a", "b": "b"}), Judging(task=TASK, confidence=0.95, seed=7))

    assert judge_gap(None, train=scores, validation=scores, train_rows=2, task=TASK) == ()


def test_overfitting_that_cannot_be_measured_fails(answers: Answers) -> None:
    train = score(answers({"a": "a", "b": "b"}), Judging(task=TASK, confidence=0.95, seed=7))
    validation = score(answers({"a": "a"}), Judging(task=TASK, confidence=0.95, seed=7))

    (check,) = judge_gap(0.5, train=train, validation=validation, train_rows=2, task=TASK)

    assert check.status is Status.FAIL
    assert "validation: no rows of `b`" in check.note


@pytest.mark.parametrize(("max_drop", "expected"), [(0.10, Status.PASS), (0.09, Status.FAIL)])
def test_a_drop_is_the_larger_of_both_earlier_forms_on_the_point(
    max_drop: float, expected: Status, answers: Answers
) -> None:
    (check,) = judge_drops(
        (MaxDrop(metric="accuracy", max_drop=max_drop),),
        {
            "the tuned model": answers({"a": "a" * 10, "b": "b" * 10}),
            "the merged one": answers({"a": "a" * 9 + "b", "b": "b" * 10}),
        },
        answers({"a": "a" * 8 + "bb", "b": "b" * 10}),
        Judging(task=TASK, confidence=0.95, seed=7),
    )

    assert (check.name, check.status, check.decided_on) == ("drop.accuracy", expected, "point")
    assert pytest.approx(0.10) == check.got
    assert check.interval is not None
    assert "0.100 from the tuned model, 0.050 from the merged one; the larger decides" in check.note


def test_where_less_is_better_a_drop_is_how_much_more_there_is(answers: Answers) -> None:
    sure = [
        replace(row, probability=0.9, probabilities=(0.9, 0.1)) for row in answers({"a": "a" * 40})
    ]
    unsure = [
        replace(row, probability=0.6, probabilities=(0.6, 0.4)) for row in answers({"a": "a" * 40})
    ]

    judging = Judging(task=TASK, confidence=0.95, seed=7)
    drops = (MaxDrop(metric="brier", max_drop=0.1),)
    (check,) = judge_drops(drops, {"merged": sure}, unsure, judging)

    assert (check.status, check.direction) == (Status.FAIL, "max")
    assert check.got == pytest.approx(2 * 0.4**2 - 2 * 0.1**2)
    assert check.note == "lost on the same rows: 0.300 from merged"


def test_a_baseline_passes_by_the_rule_the_model_must_keep(answers: Answers) -> None:
    scores = score(
        answers({"a": "a" * 17 + "b" * 3, "b": "b" * 17 + "a" * 3}),
        Judging(task=TASK, confidence=0.95, seed=7),
    )

    assert baseline_passes(scores, accepting(decide_on="point"))
    assert not baseline_passes(scores, accepting(decide_on="lower_bound"))
    assert not baseline_passes(scores, accepting(metrics=()))


@pytest.mark.parametrize(("right", "passes"), [(0.85, True), (0.9, False)])
def test_a_baseline_has_to_be_right_in_the_share_that_a_model_may_choose_rows_for(
    right: float, passes: bool, answers: Answers
) -> None:
    scores = score(
        answers({"a": "a" * 17 + "b" * 3, "b": "b" * 17 + "a" * 3}),
        Judging(task=TASK, confidence=0.95, seed=7),
    )
    selective = Selective(accuracy=Least(min=right), coverage=Least(min=0.5))
    asked = replace(accepting(decide_on="point"), selective=selective)

    assert baseline_passes(scores, asked) is passes


def test_where_groups_were_resampled_groups_would_decide() -> None:
    metric = measured(0.85, 0.75, 0.95, n=300)
    assert metric.interval is not None
    of_groups = "bayesian bootstrap of 12 groups (2000 draws, two groups added)"
    metric = replace(metric, interval=replace(metric.interval, method=of_groups))

    check = judge(metric, direction="min", bound=0.8, decide_on="lower_bound")

    # the interval is to be half as wide
    assert "about 99 groups would decide with power 0.80 (an estimate)" in check.note
