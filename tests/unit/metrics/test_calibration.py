"""A temperature is that of the validation rows, changes no answer, and is judged on the holdout beside none."""

import runpy
from typing import Any

import numpy as np
import pytest

from engine.evidence import Abstention, CalibratedForm, Status
from engine.metrics.calibration import (
    abstention,
    calibrated,
    choose_threshold,
    fit,
    on_holdout,
    reliability,
)
from engine.metrics.power import ThresholdRule, least_right
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.verdict import judge_selective
from engine.recipe.model import Acceptance, Least, Selective
from engine.runtime.scoring.label_search import TOLERANCE, tempered
from engine.values import replace
from support.paths import ROOT
from support.tasks import task

LABELS = ("a", "b", "c")
JUDGING = Judging(task=task("classification", labels=LABELS), confidence=0.95, seed=7)

NONE = CalibratedForm(form="adapter", fitted_rows=0, temperature=None, reason="none")


def answered(count: int, *, sharper: float = 1.0, seed: int = 0) -> list[Prediction]:
    """Rows whose probabilities would be right if they were not `sharper` than they are."""
    random = np.random.default_rng(seed)
    true = random.dirichlet((1.0, 0.6, 0.3), count)
    rows = []
    for number, chances in enumerate(true):
        target = LABELS[random.choice(3, p=chances)]
        shown = tempered([float(one) for one in chances], 1 / sharper)
        best = int(np.argmax(shown))
        rows.append(row(number, target=target, label=LABELS[best], probabilities=shown))
    return rows


def row(number: int, *, probabilities: tuple[float, ...], **given: Any) -> Prediction:
    most = max(probabilities, default=None)
    return Prediction(
        id=f"{number}", text="", probability=most, probabilities=probabilities, **given
    )


@pytest.mark.parametrize("sharper", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_what_made_answers_too_sure(sharper: float) -> None:
    found = fit(answered(2000, sharper=sharper), LABELS, form="Q4_0")

    assert found.temperature == pytest.approx(sharper, rel=0.1)
    assert found.fitted_rows == 2000


def test_answers_that_the_search_left_out_bend_the_temperature_little() -> None:
    exact = answered(4000, sharper=3)
    cut = [
        replace(one, probabilities=tuple(float(share == most) for share in one.probabilities))
        if (most := max(one.probabilities)) > 1 - TOLERANCE
        else one
        for one in exact
    ]

    assert any(0.0 in one.probabilities for one in cut)
    found, right = (fit(rows, LABELS, form="Q4_0").temperature for rows in (cut, exact))
    assert found == pytest.approx(right, rel=0.15)


def test_with_many_labels_those_that_were_left_out_do_not_decide() -> None:
    labels = tuple(f"label {number}" for number in range(60))
    random = np.random.default_rng(3)
    rows = []
    for number in range(500):
        logits = random.normal(0, 2, len(labels))
        chances = np.exp(2 * logits) / np.exp(2 * logits).sum()
        # one in four is of a kind that the model knows nothing of
        even = np.full(len(labels), 1 / len(labels))
        target = labels[random.choice(len(labels), p=even if number % 4 == 0 else chances)]
        shares = np.exp(2.5 * logits) / np.exp(2.5 * logits).sum()
        shares[shares < TOLERANCE] = 0.0  # what the search does not look into
        given = tuple(float(share) for share in shares / shares.sum())
        best = labels[int(np.argmax(given))]
        rows.append(row(number, target=target, label=best, probabilities=given))
    judging = Judging(task=task("classification", labels=labels), confidence=0.95, seed=7)

    found = reliability(fit(rows[:200], labels, form="Q4_0"), rows[200:], judging)

    gap = sum(one.rows * (one.confidence - one.accuracy) for one in found.bins_after) / 300
    assert any(not one.probabilities[labels.index(one.target)] for one in rows)
    assert abs(gap) < 0.05


def test_a_temperature_of_one_changes_nothing_and_others_keep_the_order() -> None:
    shares = (0.7, 0.2, 0.1)

    assert tempered(shares, 1) == shares
    assert tempered(shares, 2) == pytest.approx((0.523, 0.279, 0.198), abs=1e-3)
    assert sum(tempered((1.0, 0.0, 0.0), 3)) == pytest.approx(1)


def test_few_rows_fit_nothing_and_say_why() -> None:
    found = fit(answered(49), LABELS, form="Q4_0")

    assert (found.temperature, found.fitted_rows, found.reason) == (
        None, 49, "49 validation rows with probabilities: 50 are needed to fit a temperature"
    )  # fmt: skip


def test_rows_that_are_all_right_give_a_finite_temperature() -> None:
    rows = [
        row(number, target="a", label="a", probabilities=(0.9, 0.06, 0.04)) for number in range(60)
    ]

    found = fit(rows, LABELS, form="Q4_0")

    assert found.temperature is not None
    assert 0.1 < found.temperature < 1


def test_answers_stay_and_their_probability_is_the_largest_share() -> None:
    rows = answered(80)

    after = calibrated(rows, 2.0)

    assert [one.label for one in after] == [one.label for one in rows]
    assert all(one.probability == max(one.probabilities) for one in after)
    assert calibrated(rows, None) == rows


def test_a_temperature_lowers_the_error_on_other_rows_with_intervals() -> None:
    holdout = answered(900, sharper=2.0, seed=1)
    fitted = fit(answered(500, sharper=2.0, seed=2), LABELS, form="Q4_0")

    found = reliability(fitted, holdout, JUDGING)

    before, after = ({one.name: one.value for one in side} for side in (found.before, found.after))
    assert before.keys() == after.keys() == {"ece", "ece_less_chance", "brier", "nll"}
    assert before["ece"] > 2 * after["ece"]  # type: ignore[operator]
    change = next(one for one in found.change if one.name == "nll")
    assert change.interval is not None
    assert change.interval.high < 0
    assert sum(item.rows for item in found.bins_after) == 900
    assert {item.rows for item in found.bins_before} == {60}


def errors_before(rows: list[Prediction]) -> dict[str, float]:
    found = reliability(NONE, rows, JUDGING)
    return {one.name: one.value or 0.0 for one in found.before}


def test_what_chance_adds_to_the_error_is_taken_off_and_no_more() -> None:
    faultless = [errors_before(answered(450, seed=seed)) for seed in range(12)]
    sure = [errors_before(answered(450, sharper=3.0, seed=seed)) for seed in range(3)]

    def mean(found: list[dict[str, float]], name: str) -> float:
        return sum(one[name] for one in found) / len(found)

    assert mean(faultless, "ece") > 0.04
    assert mean(faultless, "ece_less_chance") < 0.65 * mean(faultless, "ece")
    assert mean(sure, "ece_less_chance") > 0.93 * mean(sure, "ece")


def test_what_chance_adds_is_the_mean_of_bins_drawn_again() -> None:
    rows = answered(900, sharper=1.3, seed=4)
    bins = reliability(NONE, rows, JUDGING).bins_before
    sizes, sure, right = np.array([(one.rows, one.confidence, one.accuracy) for one in bins]).T
    drawn = np.random.default_rng(0).normal(
        right, np.sqrt(right * (1 - right) / sizes), (20_000, len(sizes))
    )
    again = (abs(sure - drawn) @ sizes).mean() / sizes.sum()

    found = errors_before(rows)

    assert found["ece_less_chance"] == pytest.approx(2 * found["ece"] - again, abs=2e-4)


def test_the_brier_score_is_that_of_the_whole_distribution() -> None:
    from sklearn.metrics import brier_score_loss

    rows = answered(200, sharper=1.5)

    found = reliability(NONE, rows, JUDGING)

    brier = next(one.value for one in found.before if one.name == "brier")
    targets, shares = [one.target for one in rows], [one.probabilities for one in rows]
    # scale_by_half=False, as in `engine.metrics.families.labels`
    expected = brier_score_loss(targets, shares, labels=list(LABELS), scale_by_half=False)
    assert brier == pytest.approx(expected)
    assert (found.after, found.change, found.reason) == ((), (), "none")


def test_a_holdout_without_probabilities_is_not_judged() -> None:
    rows = [replace(one, probabilities=(), probability=None) for one in answered(60)]

    found = reliability(
        CalibratedForm(form="adapter", fitted_rows=60, temperature=1.5), rows, JUDGING
    )

    assert found.before == ()
    assert found.reason == "answers to the holdout have no probabilities"


# A threshold from validation rows, and what the holdout shows of it.
BOUNDS = Selective(accuracy=Least(min=0.95), coverage=Least(min=0.5))
ACCEPTANCE = Acceptance(
    confidence=0.95,
    decide_on="lower_bound",
    metrics=(),
    over_baselines=(),
    max_overfitting_gap=None,
    selective=BOUNDS,
)
JUDGING_SELECTIVE = Judging(task=task("classification", labels=("a", "b")), confidence=0.95, seed=7)


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


def judged(validation: list[Prediction], holdout: list[Prediction]) -> Abstention:
    found = abstention(validation, holdout, ACCEPTANCE, JUDGING_SELECTIVE)
    assert found is not None
    return found


def test_no_bounds_are_no_rule_and_no_checks() -> None:
    plain = replace(ACCEPTANCE, selective=None)

    assert abstention(rows((9, 0.9, 0)), rows((9, 0.9, 0)), plain, JUDGING_SELECTIVE) is None
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
    assert abstention([], rows((10, 0.9, 0)), ACCEPTANCE, JUDGING_SELECTIVE) is None
    assert {one.status for one in judge_selective(None, ACCEPTANCE)} == {Status.FAIL}


def test_a_threshold_that_no_row_reaches_answers_nothing() -> None:
    accuracy, coverage = on_holdout(rows((10, 0.5, 0)), 0.9, JUDGING_SELECTIVE)

    assert (accuracy.value, accuracy.undefined) == (None, "no row is answered")
    assert coverage.value == 0


def test_rows_of_groups_are_resampled_and_others_have_the_exact_interval() -> None:
    alone, _ = on_holdout(rows((100, 0.9, 2)), 0.5, JUDGING_SELECTIVE)
    grouped, _ = on_holdout(rows((100, 0.9, 2), group="g"), 0.5, JUDGING_SELECTIVE)

    assert alone.interval is not None
    assert grouped.interval is not None
    assert alone.interval.method == "clopper-pearson"
    assert "5 groups" in grouped.interval.method


def test_a_point_gate_asks_for_the_value_alone() -> None:
    on_point = replace(ACCEPTANCE, decide_on="point")
    found = abstention(rows((100, 0.9, 2)), rows((40, 0.9, 1)), on_point, JUDGING_SELECTIVE)

    assert {one.status for one in judge_selective(found, on_point)} == {Status.PASS}


def test_equal_probabilities_are_answered_together() -> None:
    confidence = np.array([0.9] * 50 + [0.7] * 50)
    right = np.array([1.0] * 50 + [0.0] * 50)

    threshold, _ = choose_threshold(confidence, right, BOUNDS, ACCEPTANCE, rows=400)

    assert threshold in (0.8, 0.0)


def test_of_texts_out_of_scope_it_is_counted_who_gets_no_other_label() -> None:
    scoped = replace(JUDGING_SELECTIVE, task=replace(JUDGING_SELECTIVE.task, out_of_scope="b"))
    holdout = rows((90, 0.99, 0), (10, 0.4, 10))

    found = abstention(rows((100, 0.99, 0), (20, 0.4, 20)), holdout, ACCEPTANCE, scoped)

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
