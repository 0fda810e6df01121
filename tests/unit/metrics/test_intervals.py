from typing import Any

import pytest
from scipy.stats import binomtest

from engine.evidence import ReviewResult, SyntheticResult
from engine.metrics.intervals import (
    clopper_pearson,
    rows_to_review,
    why_not_reviewed,
    wilson,
    wilson_f1,
    wrong_at_most,
)
from engine.metrics.power import ThresholdRule, pass_rate
from engine.recipe.model import SyntheticReview


def test_wilson_matches_a_hand_computed_case() -> None:
    interval = wilson(8, 10, confidence=0.95)

    assert interval is not None
    assert pytest.approx((0.490162, 0.943318), abs=1e-6) == (interval.low, interval.high)
    assert interval.method == "wilson"


def test_all_right_is_not_certainty() -> None:
    interval = wilson(300, 300, confidence=0.95)

    assert interval is not None
    assert pytest.approx(0.987357, abs=1e-6) == interval.low
    assert interval.high == 1.0


def test_none_right_mirrors_all_right() -> None:
    nothing, everything = wilson(0, 50, confidence=0.9), wilson(50, 50, confidence=0.9)

    assert nothing is not None
    assert everything is not None
    assert nothing.low == 0.0
    assert pytest.approx(1 - everything.low) == nothing.high


def test_no_trials_have_no_interval() -> None:
    assert wilson(0, 0, confidence=0.95) is None
    assert wilson_f1(0, 0, confidence=0.95) is None


def test_more_confidence_is_a_wider_interval() -> None:
    narrow, wide = wilson(7, 10, confidence=0.8), wilson(7, 10, confidence=0.99)

    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_interval_of_f1_is_that_of_the_jaccard_share_mapped() -> None:
    share, f1 = wilson(8, 10, confidence=0.95), wilson_f1(8, 2, confidence=0.95)

    assert share is not None
    assert f1 is not None
    assert pytest.approx(2 * share.low / (1 + share.low)) == f1.low
    assert pytest.approx(2 * share.high / (1 + share.high)) == f1.high


@pytest.mark.parametrize(
    ("bounds", "rows", "most"),
    [
        ((0.5, 0.99), (100, 1000), 1 / 33),
        ((0.1, 0.2), (100, 1000), 1 / 24),
        ((0.05, 0.1), (100, 1000), 1 / 20),
        ((0.05, 0.1), (30, 100), 1 / 13),
    ],
)
def test_a_model_at_the_bound_passes_about_as_seldom_as_the_page_says(
    bounds: tuple[float, float], rows: tuple[int, int], most: float
) -> None:
    low, high = bounds
    worst = max(
        pass_rate(bound, ThresholdRule(bound=bound, confidence=0.95), rows=count)
        for count in range(*rows, max(1, (rows[1] - rows[0]) // 35))
        for bound in (low + (high - low) * step / 15 for step in range(16))
    )

    assert worst <= most


@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 10), (10, 10), (1, 1), (95, 100), (299, 300)]
)
def test_the_exact_interval_is_that_of_scipy(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(0.95, method="exact")

    found = clopper_pearson(successes, trials, confidence=0.95)

    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_trials_have_no_interval_binomial() -> None:
    assert clopper_pearson(0, 0, confidence=0.95) is None


# How many synthetic rows may be wrong by a review, and whether that lets a training begin.
@pytest.mark.parametrize(
    ("wrong", "reviewed", "high"),
    # 1 - 0.05 ** (1 / 60), and scipy.stats.beta.ppf(0.95, wrong + 1, reviewed - wrong)
    [(0, 60, 0.048703), (1, 60, 0.076640), (3, 60, 0.124187), (60, 60, 1.0), (0, 5000, 0.000599)],
)
def test_the_upper_end_is_that_of_clopper_and_pearson(
    wrong: int, reviewed: int, high: float
) -> None:
    assert wrong_at_most(wrong, reviewed, confidence=0.95) == pytest.approx(high, abs=2e-6)


def found(**review: Any) -> SyntheticResult:
    given = {"file": "look.csv", "is_there": True, "drawn": 60, "wrong": 0, "wrong_high": None}
    return SyntheticResult(
        name="teacher",
        note="",
        judge="",
        requested=200,
        asked=200,
        kept=100,
        review=ReviewResult(**{**given, "reviewed": 0, **review}),
    )


@pytest.mark.parametrize(
    ("least", "most", "review", "says"),
    [
        (60, None, {}, "0 of 60 synthetic rows are reviewed in look.csv"),
        (60, None, {"reviewed": 60}, ""),
        (0.5, None, {"reviewed": 49}, "49 of 50"),
        (0.5, None, {"reviewed": 50}, ""),
        (500, None, {"reviewed": 99}, "99 of 100"),
        (None, 0.1, {}, "the share of wrong ones is unknown"),
        (None, 0.1, {"reviewed": 60, "wrong_high": 0.0487}, ""),
        (60, 0.1, {"reviewed": 60, "wrong": 3, "wrong_high": 0.124}, "up to 12.4% of all may be"),
    ],
)
def test_too_few_reviewed_rows_or_too_many_wrong_ones_stop_a_training(
    least: float | None, most: float | None, review: dict[str, Any], says: str
) -> None:
    why = why_not_reviewed(found(**review), SyntheticReview(min_reviewed=least, max_wrong=most))

    assert (says in why) if says else not why


def test_no_more_rows_are_asked_of_people_than_there_are() -> None:
    assert [rows_to_review(one, 40) for one in (None, 60, 0.25, 10)] == [0, 40, 10, 10]
