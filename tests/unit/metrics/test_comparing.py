import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evidence import Check, Comparison, Interval, Status
from engine.metrics.comparing import (
    Earlier,
    Rivals,
    compare,
    corrected,
    judge_gains,
    judge_previous,
)
from engine.metrics.predictions import Judging, Prediction
from engine.recipe.model import Acceptance, MaxDrop, MinGain
from engine.values import replace
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
TASK = task("classification", labels=("a", "b"))
GOOD = {"a": "a" * 95 + "b" * 5, "b": "b" * 95 + "a" * 5}
FAIR = {"a": "a" * 70 + "b" * 30, "b": "b" * 70 + "a" * 30}
POOR = {"a": "a" * 100, "b": "a" * 100}


def accepting(**changes: Any) -> Acceptance:
    values: dict[str, Any] = {
        "confidence": 0.95,
        "decide_on": "lower_bound",
        "metrics": (),
        "over_baselines": (),
        "max_overfitting_gap": None,
    }
    return Acceptance(**(values | changes))


def gaining(metric: str = "accuracy", gain: float = 0.05, **changes: Any) -> Acceptance:
    return accepting(over_baselines=(MinGain(metric=metric, min_gain=gain),), **changes)


def recorded_division(metric: str = "accuracy", drop: float = 0.05, **changes: Any) -> Acceptance:
    return accepting(over_previous=(MaxDrop(metric=metric, max_drop=drop),), **changes)


def rivals(**changes: Any) -> Rivals:
    judging = Judging(task=changes.pop("task", TASK), confidence=0.95, seed=7)
    return Rivals(judging=judging, **changes)


def compared(
    name: str = "svm",
    difference: float | None = 0.2,
    low: float = 0.1,
    high: float = 0.3,
    **changes: Any,
) -> Comparison:
    values: dict[str, Any] = {
        "name": name,
        "metric": "accuracy",
        "difference": difference,
        "interval": Interval(low=low, high=high, confidence=0.95, method="test"),
        "p_value": 0.001,
        "p_adjusted": 0.002,
        "test": "McNemar's exact test",
        "n": 300,
    }
    return Comparison(**(values | changes))


def gain_over(*comparisons: Comparison, acceptance: Acceptance | None = None) -> Check:
    acceptance = acceptance or gaining()
    (check,) = judge_gains(comparisons, acceptance)
    return check


def drop_from(
    *comparisons: Comparison, earlier: Earlier, acceptance: Acceptance | None = None
) -> Check:
    acceptance = acceptance or recorded_division()
    (check,) = judge_previous(comparisons, acceptance, earlier=earlier)
    return check


BEFORE = Earlier(answers=(), accepted="2026-11-23")


def test_every_baseline_is_compared_on_each_gained_metric(answers: Answers) -> None:
    acceptance = accepting(
        over_baselines=(
            MinGain(metric="macro_f1", min_gain=0.1),
            MinGain(metric="accuracy", min_gain=0.1),
        )
    )
    baselines = {"majority": answers(POOR), "tfidf_svm": answers(FAIR)}

    found = compare(
        answers(GOOD), rivals(baselines=baselines), acceptance=acceptance, main="macro_f1"
    )

    assert [(x.name, x.metric) for x in found] == [
        ("majority", "macro_f1"),
        ("majority", "accuracy"),
        ("tfidf_svm", "macro_f1"),
        ("tfidf_svm", "accuracy"),
    ]
    assert found[3].difference == pytest.approx(0.25)
    assert {x.test for x in found} == {"paired permutation test", "McNemar's exact test"}
    assert all(x.p_value is not None and x.p_adjusted is not None for x in found)
    assert all((x.p_adjusted or 0) >= (x.p_value or 1) > 0 for x in found)


def test_the_main_metric_is_compared_where_no_gain_is_asked_for(answers: Answers) -> None:
    found = compare(
        answers(GOOD),
        rivals(
            baselines={"tfidf_svm": answers(FAIR)},
            earlier=Earlier(answers=answers(FAIR), accepted="2026-11-23"),
        ),
        acceptance=accepting(),
        main="macro_f1",
    )

    assert [(x.name, x.metric) for x in found] == [
        ("tfidf_svm", "macro_f1"),
        ("previous", "macro_f1"),
    ]


def test_only_what_is_gated_is_corrected_together(answers: Answers) -> None:
    others = {
        "baselines": {"majority": answers(POOR), "tfidf_svm": answers(FAIR)},
        "earlier": Earlier(answers=answers(FAIR), accepted="2026-11-23"),
    }

    shown = compare(answers(GOOD), rivals(**others), acceptance=gaining(), main="accuracy")
    gated = compare(
        answers(GOOD),
        rivals(**others),
        acceptance=gaining(over_previous=recorded_division().over_previous),
        main="accuracy",
    )

    assert shown[2].p_adjusted == shown[2].p_value
    assert gated[2].p_adjusted == pytest.approx(2 * (gated[2].p_value or 0))


def test_where_less_is_better_a_lower_value_is_a_gain(answers: Answers) -> None:
    sure = [
        replace(row, probability=0.9, probabilities=(0.9, 0.1)) for row in answers({"a": "a" * 40})
    ]
    unsure = [
        replace(row, probability=0.6, probabilities=(0.6, 0.4)) for row in answers({"a": "a" * 40})
    ]

    (found,) = compare(
        sure, rivals(baselines={"svm": unsure}), acceptance=gaining("brier", 0.1), main="macro_f1"
    )

    assert found.difference == pytest.approx(2 * 0.4**2 - 2 * 0.1**2)
    assert found.interval is not None
    assert found.difference is not None
    assert found.interval.low <= found.difference <= found.interval.high
    assert gain_over(found, acceptance=gaining("brier", 0.1)).status is Status.PASS


def test_a_p_value_is_never_nothing() -> None:
    rows = [
        Prediction(id=f"{n:016x}", target="a", label="a", text="a", probability=None)
        for n in range(2000)
    ]
    wrong = [replace(row, label="b") for row in rows]

    (found,) = compare(
        rows, rivals(baselines={"svm": wrong}), acceptance=gaining(), main="accuracy"
    )

    assert found.p_value is not None
    assert found.p_value > 0


def test_gains_are_taken_over_the_best_baseline() -> None:
    check = gain_over(compared("majority", 0.5, 0.4, 0.6), compared("svm"))

    assert (check.name, check.status) == ("over_baselines.accuracy", Status.PASS)
    assert (check.got, check.p_value, check.p_adjusted) == (0.2, 0.001, 0.002)
    assert check.note == (
        "against `svm`, the best baseline, on the same rows; p: McNemar's exact test"
    )


@pytest.mark.parametrize(
    ("comparisons", "acceptance", "status", "note"),
    [
        ((compared(low=0.04),), gaining(), Status.INCONCLUSIVE, "rows would decide"),
        # every baseline must be beaten for sure, not only the best by its score
        ((compared("svm"), compared("few_shot", 0.25, 0.0, 0.5)), gaining(), Status.INCONCLUSIVE,
         "against `few_shot`, the best one that is not beaten for sure"),
        ((compared(p_value=0.03, p_adjusted=0.06),), gaining(), Status.INCONCLUSIVE,
         "p = 0.06 after Holm's correction, required at most 0.05; against"),
        ((compared(p_adjusted=0.05),), gaining(), Status.PASS, ""),
        ((compared(p_value=None, p_adjusted=None),), gaining(), Status.INCONCLUSIVE, "no p-value"),
        # on the point neither interval nor p-value decides, nor does rounding
        ((compared(low=-0.5, p_adjusted=0.9),), gaining(decide_on="point"), Status.PASS, ""),
        ((compared(difference=0.95 - 0.80),), gaining(gain=0.15, decide_on="point"), Status.PASS, ""),
        ((compared(difference=0.04, low=0.0),), gaining(), Status.FAIL, ""),
        ((), gaining(), Status.FAIL, "not computed: no baseline"),
        ((compared(difference=None, note="no probabilities"),), gaining(), Status.FAIL,
         "not computed: no probabilities"),
        ((compared(metric="f1.b", n=12),), gaining("f1.b"), Status.INCONCLUSIVE,
         "only 12 rows of `b`: fewer than 30 decide nothing; against `svm`"),
    ],
)  # fmt: skip
def test_a_gain_passes_only_where_it_is_shown(
    comparisons: tuple[Comparison, ...], acceptance: Acceptance, status: Status, note: str
) -> None:
    check = gain_over(*comparisons, acceptance=acceptance)

    assert check.status is status
    assert note in check.note


def test_a_model_that_is_no_better_than_a_baseline_fails(answers: Answers) -> None:
    same = answers({"a": "aab", "b": "bbb"})
    found = compare(same, rivals(baselines={"svm": same}), acceptance=gaining(), main="accuracy")

    check = gain_over(*found)

    assert (check.status, check.got, check.p_value) == (Status.FAIL, 0.0, 1.0)


def test_a_drop_against_the_last_accepted_model_is_signed_as_a_loss() -> None:
    check = drop_from(compared("previous", -0.02, -0.04, 0.0), earlier=BEFORE)

    assert (check.name, check.direction, check.status) == (
        "over_previous.accuracy",
        "max",
        Status.PASS,
    )
    assert check.got == 0.02
    assert check.interval is not None
    assert (check.interval.low, check.interval.high) == (0.0, 0.04)
    assert check.note.startswith("against the model accepted on 2026-11-23, on the same rows")


@pytest.mark.parametrize(
    ("difference", "low", "expected"),
    [
        (0.0, -0.05, Status.PASS),  # equal to the bound
        (0.0, -0.06, Status.INCONCLUSIVE),
        (-0.06, -0.1, Status.FAIL),
        (0.2, 0.1, Status.PASS),
    ],
)
def test_a_drop_is_decided_on_its_upper_bound(
    difference: float, low: float, expected: Status
) -> None:
    check = drop_from(compared("previous", difference, low, difference + 0.05), earlier=BEFORE)

    assert (check.status, check.decided_on) == (expected, "upper bound")


def test_before_a_model_was_accepted_nothing_is_gated() -> None:
    check = drop_from(earlier=Earlier())

    assert (check.status, check.got) == (Status.WARN, None)
    assert "no model of this recipe has been accepted before" in check.note


@pytest.mark.parametrize("decide_on", ["point", "lower_bound"])
def test_a_model_that_cannot_be_compared_lets_nothing_pass(
    answers: Answers, decide_on: str
) -> None:
    gone = Earlier(accepted="2026-11-23", why_not="the store no longer holds its answers")
    acceptance = recorded_division(decide_on=decide_on)

    check = drop_from(earlier=gone, acceptance=acceptance)

    assert not compare(answers(GOOD), rivals(earlier=gone), acceptance=acceptance, main="accuracy")

    assert (check.status, check.got) == (Status.INCONCLUSIVE, None)
    assert check.note == (
        "the model accepted on 2026-11-23 cannot be compared: the store no longer holds its answers"
    )


def test_the_same_model_passes_against_itself(answers: Answers) -> None:
    same = Earlier(answers=answers(GOOD), accepted="2026-11-23")
    acceptance = recorded_division(drop=0.02)
    found = compare(answers(GOOD), rivals(earlier=same), acceptance=acceptance, main="macro_f1")

    check = drop_from(*found, earlier=same, acceptance=acceptance)

    assert (check.status, check.got) == (Status.PASS, 0.0)


P_VALUES = st.lists(st.none() | st.floats(1e-300, 1), max_size=8)


@given(P_VALUES)
def test_corrected_p_values_are_no_smaller_and_keep_their_order(given_: list[Any]) -> None:
    found = corrected([compared(p_value=value, p_adjusted=None) for value in given_])

    pairs = [(x.p_value, x.p_adjusted) for x in found]
    known = sorted((p, q) for p, q in pairs if p is not None and q is not None)
    assert all((p is None) == (q is None) for p, q in pairs)
    assert all(p <= q <= 1 for p, q in known)
    assert [q for _, q in known] == sorted(q for _, q in known)


NUMBERS = st.floats(-1, 1) | st.sampled_from([math.nan, math.inf, -math.inf])


@given(
    difference=NUMBERS,
    low=NUMBERS,
    high=NUMBERS,
    p_value=st.none() | st.floats(0, 1),
    n=st.integers(0, 60),
    bound=st.floats(0, 0.5),
)
def test_what_passes_has_shown_its_gain(
    difference: float, low: float, high: float, p_value: float | None, n: int, bound: float
) -> None:
    found = compared(
        difference=difference, low=low, high=high, p_value=p_value, p_adjusted=p_value, n=n
    )

    check = gain_over(found, acceptance=gaining(gain=bound))

    if check.status is Status.PASS:
        assert n > 0
        assert difference >= bound - 1e-12
        assert low >= bound - 1e-12
        assert p_value is not None
        assert p_value <= 0.05 + 1e-9
