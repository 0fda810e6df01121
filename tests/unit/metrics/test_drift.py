"""How far answers moved: by likelihood of the chosen ones, by length of the model's own; both paired, both bounded."""

from typing import Any

import pytest

from engine.evidence import DriftResult, Status
from engine.metrics.forgetting import judge_drift, length_drift, likelihood_drift
from engine.metrics.predictions import Judging, Prediction
from engine.recipe.model import Acceptance, Drift, LengthDrift, LogProbabilityDrift
from engine.values import replace
from support.tasks import task

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
    found = length_drift({"a": 10, "b": 30}, {"a": 20, "b": 40}, JUDGING)

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
    found = length_drift({"a": 0}, {"a": 3}, JUDGING)

    assert found.change.undefined == "the base model answers nothing"


def test_each_bound_is_a_check_of_its_own() -> None:
    moved = likelihood_drift([row(1, 24.0, 20.0), row(2, 30.0, 24.0)], JUDGING)
    longer = length_drift({"a": 10, "b": 9}, {"a": 11, "b": 9}, JUDGING)

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
