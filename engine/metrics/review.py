"""Synthetic rows that people have looked at: how many are wrong at most, and whether that lets a training begin."""

from __future__ import annotations

import math

from engine.evidence import SyntheticResult
from engine.recipe.model import SyntheticReview

HALVINGS = 60
"""Steps of the search for the bound: more than a float has digits."""


def wrong_at_most(wrong: int, reviewed: int, *, confidence: float) -> float:
    """Return the upper end of the one-sided interval of a share, by Clopper and Pearson (1934).

    The largest share with which so few wrong rows, or fewer, are still drawn in 1 - `confidence` of all samples.
    """
    if wrong >= reviewed:
        return 1.0
    low, high = wrong / reviewed, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _at_most(wrong, reviewed, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(wrong: int, rows: int, share: float) -> float:
    """Return how probable it is to draw so many wrong ones or fewer; `share` is neither 0 nor 1."""
    # by logarithms: of many rows the number of ways is larger than any float
    return math.fsum(
        math.exp(
            math.lgamma(rows + 1)
            - math.lgamma(count + 1)
            - math.lgamma(rows - count + 1)
            + count * math.log(share)
            + (rows - count) * math.log1p(-share)
        )
        for count in range(wrong + 1)
    )


def rows_to_review(least: float | None, kept: int) -> int:
    """Return how many rows `reviewed.min` asks for; all where that are more than there are."""
    if least is None:
        return 0
    return min(kept, int(least) if least >= 1 else math.ceil(least * kept))


def why_not_reviewed(found: SyntheticResult, bounds: SyntheticReview) -> str:
    """Return why the synthetic rows may not be trained on yet; empty where they may."""
    review = found.review
    if review is None:
        return ""
    # rows that people found wrong are no longer kept, and were looked at all the same
    needed = rows_to_review(bounds.min_reviewed, found.kept + review.wrong)
    if review.reviewed < needed:
        return f"{review.reviewed} of {needed} synthetic rows are reviewed in {review.file}"
    most, high = bounds.max_wrong, review.wrong_high
    if most is None or not found.kept + review.wrong:
        return ""
    if high is None:
        return f"no synthetic row is reviewed in {review.file}, so nobody knows how many are wrong"
    if high > most:
        return (
            f"{review.wrong} of {review.reviewed} reviewed synthetic rows are wrong, so up to"
            f" {high:.1%} of all may be; required at most {most:.1%}"
        )
    return ""
