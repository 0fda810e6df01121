"""A threshold from validation rows, and what the holdout shows of it."""

import runpy

import numpy as np
import pytest

from engine.evidence import Abstention, Status
from engine.metrics.calibration import SelectiveRule, abstention, choose_threshold, on_holdout
from engine.metrics.power import ThresholdRule, least_right
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.verdict import judge_selective
from engine.recipe.model import Acceptance, Least, Selective
from engine.values import replace
from support.paths import ROOT
from support.tasks import task

BOUNDS = Selective(accuracy=Least(min=0.95), coverage=Least(min=0.5))
ACCEPTANCE = Acceptance(
    confidence=0.95,
    decide_on="lower_bound",
    metrics=(),
    over_baselines=(),
    max_overfitting_gap=None,
    selective=BOUNDS,
)
JUDGING = Judging(task=task("classification", labels=("a", "b")), confidence=0.95, seed=7)


def rows(*parts: tuple[int, float, int], label: str = "a", group: str = "") -> list[Prediction]:
    """Answers: (rows, probability, so many of them wrong)."""
    return [
        Prediction(
            id=f"{place}-{number}",
            target="b" if number < wrong else label,
            label=label,
            text=label,
            probability=probability,
            group=f"{group}{number % 5}" if group else "",
        )
        for place, (count, probability, wrong) in enumerate(parts)
        for number in range(count)
    ]


def rule(holdout: int, acceptance: Acceptance = ACCEPTANCE) -> SelectiveRule:
    found = SelectiveRule.of(acceptance, holdout)
    assert found is not None
    return found


def judged(validation: list[Prediction], holdout: list[Prediction]) -> Abstention:
    found = abstention(validation, holdout, rule(len(holdout)), JUDGING)
    assert found is not None
    return found


def test_no_bounds_are_no_rule_and_no_checks() -> None:
    plain = replace(ACCEPTANCE, selective=None)

    assert SelectiveRule.of(plain, 300) is None
    assert judge_selective(None, plain) == ()


def test_the_threshold_lies_between_what_is_sure_and_what_is_not() -> None:
    sure = rows((200, 0.99, 1), (100, 0.6, 40))

    found = judged(sure, rows((400, 0.99, 2), (200, 0.6, 80)))

    assert found.threshold == pytest.approx(0.795)
    assert (found.validation_accuracy, found.validation_coverage) == (0.995, pytest.approx(2 / 3))
    assert found.chance > 0.95
    assert (found.accuracy.value, found.accuracy.n) == (0.995, 400)
    assert found.coverage.value == pytest.approx(2 / 3)
    assert {one.status for one in judge_selective(found, ACCEPTANCE)} == {Status.PASS}


def test_a_model_that_is_good_enough_everywhere_answers_every_row() -> None:
    found = judged(rows((300, 0.9, 1)), rows((500, 0.8, 3)))

    assert (found.threshold, found.coverage.value) == (0.0, 1.0)


def test_wrong_answers_of_the_holdout_are_refused_whatever_the_validation_showed() -> None:
    found = judged(rows((200, 0.99, 0), (100, 0.6, 40)), rows((400, 0.99, 40), (200, 0.6, 80)))

    accuracy, coverage = judge_selective(found, ACCEPTANCE)

    assert (accuracy.status, coverage.status) == (Status.FAIL, Status.PASS)
    assert "answers from a probability of 0.795 on" in accuracy.note


def test_too_few_rows_are_inconclusive_and_say_how_many_would_do() -> None:
    found = judged(rows((200, 0.99, 1), (100, 0.6, 40)), rows((40, 0.99, 0), (20, 0.6, 8)))

    accuracy, _ = judge_selective(found, ACCEPTANCE)

    assert accuracy.status is Status.INCONCLUSIVE
    assert accuracy.note == (
        "about 72 answered rows would decide with power 0.80, 110 of the holdout (an estimate); "
        "answers from a probability of 0.795 on"
    )
    assert found.chance == 0


def test_a_model_that_is_right_only_on_too_few_rows_lacks_coverage() -> None:
    few = rows((60, 0.99, 0), (240, 0.6, 100))

    accuracy, coverage = judge_selective(judged(few, few), ACCEPTANCE)

    assert Status.FAIL in (accuracy.status, coverage.status)


def test_without_validation_rows_nothing_is_shown() -> None:
    assert abstention([], rows((10, 0.9, 0)), rule(10), JUDGING) is None
    assert {one.status for one in judge_selective(None, ACCEPTANCE)} == {Status.FAIL}


def test_a_threshold_that_no_row_reaches_answers_nothing() -> None:
    accuracy, coverage = on_holdout(rows((10, 0.5, 0)), 0.9, JUDGING)

    assert (accuracy.value, accuracy.undefined) == (None, "no row is answered")
    assert coverage.value == 0


def test_rows_of_groups_are_resampled_and_others_have_the_exact_interval() -> None:
    alone, _ = on_holdout(rows((100, 0.9, 2)), 0.5, JUDGING)
    grouped, _ = on_holdout(rows((100, 0.9, 2), group="g"), 0.5, JUDGING)

    assert alone.interval is not None
    assert grouped.interval is not None
    assert alone.interval.method == "clopper-pearson"
    assert "5 groups" in grouped.interval.method


def test_a_point_gate_asks_for_the_value_alone() -> None:
    on_point = replace(ACCEPTANCE, decide_on="point")
    found = abstention(rows((100, 0.9, 2)), rows((40, 0.9, 1)), rule(40, on_point), JUDGING)

    assert {one.status for one in judge_selective(found, on_point)} == {Status.PASS}


def test_equal_probabilities_are_answered_together() -> None:
    confidence = np.array([0.9] * 50 + [0.7] * 50)
    right = np.array([1.0] * 50 + [0.0] * 50)

    threshold, _ = choose_threshold(confidence, right, rule(400))

    assert threshold in (0.8, 0.0)


def test_of_texts_out_of_scope_it_is_counted_who_gets_no_other_label() -> None:
    scoped = replace(JUDGING, task=replace(JUDGING.task, out_of_scope="b"))
    holdout = rows((90, 0.99, 0), (10, 0.4, 10))

    found = abstention(rows((100, 0.99, 0), (20, 0.4, 20)), holdout, rule(100), scoped)

    assert found is not None
    assert found.out_of_scope is not None
    assert (found.out_of_scope.value, found.out_of_scope.n) == (1.0, 10)


def test_the_plan_asks_for_as_many_right_rows_as_the_gate() -> None:
    exact = ThresholdRule(bound=0.95, confidence=0.95, is_exact=True)

    assert least_right(71, exact) is None
    assert least_right(72, exact) == 72


@pytest.mark.slow
def test_a_bound_that_holds_is_shown_and_one_that_does_not_is_not() -> None:
    made = runpy.run_path(str(ROOT / "benchmarks" / "calibration.py"))
    simulate = made["simulate"]

    by_name = {one.name: simulate(one, 40, ACCEPTANCE) for one in made["POPULATIONS"]}

    assert by_name["sure of 70 % of rows"].verdicts[Status.PASS] >= 32
    assert by_name["never sure"].verdicts[Status.PASS] == 0
    assert sum(tally.passed_wrongly for tally in by_name.values()) <= 4
