"""How many synthetic rows may be wrong by a review, and whether that lets a training begin."""

from typing import Any

import pytest

from engine.evidence import ReviewResult, SyntheticResult
from engine.metrics.intervals import rows_to_review, why_not_reviewed, wrong_at_most
from engine.recipe.model import SyntheticReview


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
        (None, 0.1, {}, "nobody knows how many are wrong"),
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
