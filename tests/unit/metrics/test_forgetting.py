"""What training unlearned: hand-computed cases, and the gate's three answers."""

import math
import random
from typing import Any

import pytest
from scipy.stats import binomtest

from engine.evidence import DriftResult, ForgettingResult, Status
from engine.metrics.forgetting import (
    ProbeAnswer,
    forgetting_result,
    judge_drift,
    judge_forgetting,
    length_drift,
    likelihood_drift,
    paired_interval,
)
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import mcnemar
from engine.recipe.model import (
    Acceptance,
    Drift,
    Forgetting,
    LengthDrift,
    LogProbabilityDrift,
    Probe,
)
from engine.values import replace
from support.tasks import task

FORGETTING = Forgetting(probes=(Probe(name="builtin", kind="builtin"),), max_drop=0.05)


def acceptance(decide_on: Any = "lower_bound") -> Acceptance:
    return Acceptance(
        confidence=0.95,
        decide_on=decide_on,
        metrics=(),
        over_baselines=(),
        max_overfitting_gap=None,
        forgetting=FORGETTING,
    )


def item(number: int, *, right: bool, kind: str = "cloze", probe: str = "builtin") -> ProbeAnswer:
    return ProbeAnswer(
        id=f"{number:016x}",
        probe=probe,
        kind=kind,
        gold=0,
        scores=(-1.0, -2.0) if right else (-2.0, -1.0),
        lengths=(5, 5),
    )


def result(*, n: int = 600, before: int = 500, lost: int = 0, gained: int = 0) -> ForgettingResult:
    first = [item(place, right=place < before) for place in range(n)]
    second = [item(place, right=lost <= place < before + gained) for place in range(n)]
    return forgetting_result(first, second, confidence=0.95)


def test_endings_are_compared_by_byte() -> None:
    scores, lengths = (-6.0, -4.0), (12, 4)
    longer = ProbeAnswer(id="a", probe="p", kind="cloze", gold=0, scores=scores, lengths=lengths)

    assert longer.is_right
    assert longer.per_byte == -0.5


def test_sentences_are_compared_as_they_are() -> None:
    scores, lengths = (-6.0, -4.0), (12, 4)
    pair = ProbeAnswer(
        id="a", probe="p", kind="minimal_pairs", gold=0, scores=scores, lengths=lengths
    )

    assert not pair.is_right


def test_a_tie_is_not_right() -> None:
    tie = ProbeAnswer(id="a", probe="p", kind="cloze", gold=0, scores=(-2.0, -2.0), lengths=(4, 4))

    assert not tie.is_right


def test_lost_and_gained_items_are_counted_in_pairs() -> None:
    overall = result(lost=30, gained=10).overall

    assert overall.before.value == pytest.approx(500 / 600)
    assert overall.after.value == pytest.approx(480 / 600)
    assert overall.drop.value == pytest.approx(20 / 600)
    assert overall.p_value == pytest.approx(mcnemar(30, 10))
    assert overall.shift == pytest.approx((10 - 30) * 0.2 / 600)


def test_sets_and_kinds_are_distinguished() -> None:
    models = [
        [
            item(1, right=True, kind="cloze"),
            item(2, right=right, kind="minimal_pairs"),
            item(2, right=True, kind="minimal_pairs", probe="own"),
        ]
        for right in (True, False)
    ]

    found = forgetting_result(*models, confidence=0.95)

    assert [(one.name, one.kind, one.n, one.drop.value) for one in found.probes] == [
        ("builtin", "cloze", 1, 0.0),
        ("builtin", "minimal_pairs", 1, 1.0),
        ("own", "minimal_pairs", 1, 0.0),
    ]
    assert found.overall.n == 3


def test_models_on_other_items_are_a_bug() -> None:
    with pytest.raises(ValueError, match="different items"):
        forgetting_result([item(1, right=True)], [item(2, right=True)], confidence=0.95)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (5, 5), (12, 3), (0, 40), (700, 600)])
def test_the_exact_test_is_that_of_scipy(lost: int, gained: int) -> None:
    expected = binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0

    assert mcnemar(lost, gained) == pytest.approx(expected)


def test_the_interval_does_not_collapse_where_nothing_changed() -> None:
    found = paired_interval(0, 0, 600, confidence=0.95)

    assert (found.low, found.high) == pytest.approx((-0.0046, 0.0046), abs=1e-4)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    draw = random.Random(7)
    covered = 0
    for _ in range(400):
        outcomes = draw.choices(("lost", "gained", ""), weights=(0.08, 0.04, 0.88), k=600)
        found = paired_interval(
            outcomes.count("lost"), outcomes.count("gained"), 600, confidence=0.95
        )
        covered += found.low <= 0.04 <= found.high

    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(
    ("lost", "status"), [(0, Status.PASS), (25, Status.INCONCLUSIVE), (60, Status.FAIL)]
)
def test_the_worse_end_of_the_drop_decides(lost: int, status: Status) -> None:
    (check,) = judge_forgetting(FORGETTING, result(lost=lost), acceptance())

    assert (check.name, check.status, check.direction) == ("forgetting", status, "max")
    assert check.decided_on == "upper bound"
    assert check.p_value is not None
    assert "base 0.833" in check.note


def test_on_the_point_the_measured_drop_decides() -> None:
    (check,) = judge_forgetting(FORGETTING, result(lost=20), acceptance("point"))

    assert check.status is Status.PASS


def test_what_was_not_measured_does_not_pass() -> None:
    (check,) = judge_forgetting(FORGETTING, None, acceptance())

    assert check.status is Status.FAIL


def test_nothing_asked_nothing_judged() -> None:
    assert judge_forgetting(None, None, acceptance()) == ()


def test_an_infinite_shift_is_no_number() -> None:
    lost = ProbeAnswer(
        id=f"{1:016x}",
        probe="builtin",
        kind="cloze",
        gold=0,
        scores=(-math.inf, -1.0),
        lengths=(5, 5),
    )

    assert forgetting_result([item(1, right=True)], [lost], confidence=0.95).overall.shift is None


# How far answers moved: by likelihood of the chosen ones, by length of the model's own; both paired, both bounded.
JUDGING = Judging(task=task("preference"), confidence=0.95, seed=7)
ACCEPTANCE = Acceptance(
    confidence=0.95, decide_on="point", metrics=(), over_baselines=(), max_overfitting_gap=None
)
DRIFT = Drift(
    chosen_log_probability=LogProbabilityDrift(max_drop=0.2),
    answer_length=LengthDrift(max_ratio=1.25),
)


def row(place: int, nats: float, base: float, **given: Any) -> Prediction:
    scored: dict[str, Any] = {"tokens": 10, "bytes": 30, "base_nats": (base, 9.0), **given}
    return Prediction(
        id=f"{place}", target="", label=None, text="", probability=None, nats=nats, **scored
    )


def test_the_drop_is_of_the_base_model_less_the_tuned_one_by_token() -> None:
    found = likelihood_drift([row(1, 24.0, 20.0), row(2, 30.0, 24.0)], JUDGING)

    assert (found.before, found.after) == (pytest.approx(-2.2), pytest.approx(-2.7))
    assert found.change.value == pytest.approx(0.5)
    assert found.change.interval is not None
    assert 0 < found.change.interval.low < 0.5 < found.change.interval.high < 1


def test_answers_with_a_thumb_down_may_fall() -> None:
    rows = [row(1, 20.0, 20.0), row(2, 90.0, 20.0, desirable=False)]

    assert likelihood_drift(rows, JUDGING).change.value == pytest.approx(0.0)


def test_the_ratio_is_of_all_tokens_together() -> None:
    found = length_drift({"a": 10, "b": 30}, {"a": 20, "b": 40}, JUDGING, groups={})

    assert (found.before, found.after, found.change.value) == (20.0, 30.0, 1.5)
    assert found.change.interval is not None
    assert found.change.interval.low < 1.5 < found.change.interval.high


def test_rows_of_a_group_are_no_further_evidence() -> None:
    """Ten groups of ten equal rows gave the interval of a hundred rows."""
    names = [f"{group}-{row}" for group in range(10) for row in range(10)]
    before, after = dict.fromkeys(names, 10), {name: 10 + int(name[0]) for name in names}
    of_rows = {name: name[0] for name in names}

    alone, together = (
        length_drift(before, after, JUDGING, groups=groups).change.interval
        for groups in ({}, of_rows)
    )

    assert alone is not None
    assert together is not None
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert "of 10 groups" in together.method


def test_a_base_model_that_answers_nothing_has_no_ratio() -> None:
    found = length_drift({"a": 0}, {"a": 3}, JUDGING, groups={})

    assert found.change.undefined == "the base model answers nothing"


def test_each_bound_is_a_check_of_its_own() -> None:
    moved = likelihood_drift([row(1, 24.0, 20.0), row(2, 30.0, 24.0)], JUDGING)
    longer = length_drift({"a": 10, "b": 9}, {"a": 11, "b": 9}, JUDGING, groups={})

    checks = judge_drift(DRIFT, DriftResult(scores=(moved, longer)), ACCEPTANCE)

    assert [(check.kind, check.label, check.status) for check in checks] == [
        ("drift", "chosen_log_probability", Status.FAIL),
        ("drift", "answer_length", Status.PASS),
    ]
    assert "base \u22122.200, tuned \u22122.700" in checks[0].note


def test_what_was_not_measured_passes_nothing_and_what_is_not_bounded_is_not_checked() -> None:
    only = replace(DRIFT, answer_length=None)

    assert [check.status for check in judge_drift(only, None, ACCEPTANCE)] == [Status.FAIL]
    assert judge_drift(None, None, ACCEPTANCE) == ()
