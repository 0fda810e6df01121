"""A temperature is that of the validation rows, changes no answer, and is judged on the holdout beside none."""

from typing import Any

import numpy as np
import pytest

from engine.evidence import CalibratedForm
from engine.metrics.calibration import calibrated, fit, reliability
from engine.metrics.predictions import Judging, Prediction
from engine.runtime.scoring.label_search import TOLERANCE, tempered
from engine.values import replace
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
