"""Intervals in closed form, for proportions and for F1. They do not collapse at 0 or 1.

Wilson's score interval (Wilson 1927) for accuracy, valid output, precision and recall. The F1 of one class is a
monotone function of a proportion, `TP / (TP + FP + FN)`, so Wilson's interval of that proportion maps onto one of F1
(Lam, Gopal and Qian, arXiv 2309.14621). `benchmarks/interval_coverage.py` measures how often they miss the truth.
"""

import math
from functools import lru_cache
from statistics import NormalDist

from engine.evidence import Interval, Metric, SyntheticResult
from engine.recipe.model import SyntheticReview
from engine.values import replace


def wrong_at_most(wrong: int, reviewed: int, *, confidence: float) -> float:
    """Return the upper end of the one-sided interval of a share, by Clopper and Pearson (1934).

    It is the largest share with which at most so many wrong rows are drawn in 1 - `confidence` of all samples.
    """
    from scipy.special import betaincinv  # takes time to import

    return float(betaincinv(wrong + 1, reviewed - wrong, confidence)) if wrong < reviewed else 1.0


def rows_to_review(least: float | None, kept: int) -> int:
    """Return how many of the kept rows `reviewed.min` requires."""
    if least is None:
        return 0
    return min(kept, int(least) if least >= 1 else math.ceil(least * kept))


def why_not_reviewed(synthetic: SyntheticResult, bounds: SyntheticReview) -> str:
    """Return why the synthetic rows may not be trained on yet; empty where they may."""
    review = synthetic.review
    if review is None:
        return ""
    # rows that people found wrong are no longer kept, but were reviewed
    rows = synthetic.kept + review.wrong
    needed = rows_to_review(bounds.min_reviewed, rows)
    if review.reviewed < needed:
        return f"{review.reviewed} of {needed} synthetic rows are reviewed in {review.file}"
    most, high = bounds.max_wrong, review.wrong_high
    if most is None or not rows:
        return ""
    if high is None:
        return (
            f"no synthetic row is reviewed in {review.file}, so the share of wrong ones is unknown"
        )
    if high > most:
        return (
            f"{review.wrong} of {review.reviewed} reviewed synthetic rows are wrong, so up to"
            f" {high:.1%} of all may be; required at most {most:.1%}"
        )
    return ""


EXACT = "clopper-pearson"
_NEGLIGIBLE = 1e-17


def clopper_pearson(successes: int, trials: int, *, confidence: float) -> Interval | None:
    """Return the exact interval of a share (Clopper and Pearson 1934), or None without trials.

    Each end misses the share in at most `(1 - confidence) / 2` of all samples.
    """
    if trials <= 0:
        return None
    from scipy.special import betaincinv  # takes time to import

    chance, others = (1 - confidence) / 2, trials - successes
    low = float(betaincinv(successes, others + 1, chance)) if successes else 0.0
    high = float(betaincinv(successes + 1, others, 1 - chance)) if others else 1.0
    return Interval(low=low, high=high, confidence=confidence, method=EXACT)


def tail(successes: int, trials: int, share: float) -> float:
    """Return the exact chance of at least that many successes in independent trials."""
    if successes <= 0:
        return 1.0
    if successes > trials or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    # The shorter tail is summed: its terms fall fast, and a tiny chance is not rounded away.
    if successes > share * trials:
        return min(1.0, _upper_sum(successes, trials, share))
    return max(0.0, 1.0 - _upper_sum(trials - successes + 1, trials, 1 - share))


def _upper_sum(successes: int, trials: int, share: float) -> float:
    """Add up the chances from `successes` on; they fall from there."""
    # In logarithms: binomial coefficients of much more than a thousand trials overflow a float.
    log_chance = (
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + successes * math.log(share)
        + (trials - successes) * math.log1p(-share)
    )
    chance, total, odds = math.exp(log_chance), 0.0, share / (1 - share)
    for count in range(successes, trials + 1):
        total += chance
        chance *= (trials - count) / (count + 1) * odds
        if chance < total * _NEGLIGIBLE:
            break
    return total


_STEPS = 40


def wilson(successes: float, trials: float, *, confidence: float) -> Interval | None:
    """Return Wilson's interval of a proportion, or None without trials."""
    if trials <= 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / trials
    spread = z * z / trials
    center = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    # Rounding of floats must not fail a bound of 0 or 1.
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == trials else min(1.0, center + half)
    return Interval(low=low, high=high, confidence=confidence, method="wilson")


def proportion(name: str, hits: int, trials: int, *, confidence: float) -> Metric:
    """Return the share of hits in at least one independent trial, with Wilson's interval."""
    interval = wilson(hits, trials, confidence=confidence)
    return Metric(name=name, value=hits / trials, n=trials, interval=interval)


GroupSizes = tuple[tuple[int, int], ...]
"""Pairs of a size in rows and the number of groups of that size."""


@lru_cache(maxsize=64)
def effective_groups(sizes: GroupSizes, confidence: float) -> float:
    """Return how many independent rows groups count for, where a model is right on all rows of a group or none.

    With all rows right, Wilson's interval of that many rows equals the interval of these groups by resampling. There
    the wrong share is W m / (S + W m + V n): S is the sum of all sizes, each times a unit exponential weight, and m and
    n are the sizes of the two added groups, drawn as often as they have rows. Groups of one size count as their number,
    a few large ones among many small ones as few.
    """
    rows, miss = sum(size * count for size, count in sizes), (1 - confidence) / 2

    def exceeds(odds: float) -> float:
        """Return the chance of more than `odds` times as many wrong rows as right ones."""
        chance = 0.0
        for size, count in sizes:
            rate = odds / size
            added = sum(n * many / (1 + rate * n) for n, many in sizes) / rows
            others = math.exp(-sum(many * math.log1p(rate * n) for n, many in sizes))
            chance += size * count / rows * others * added
        return chance

    low, high = 0.0, 1.0
    while exceeds(high) > miss:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if exceeds(middle) > miss else (low, middle)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    return z * z / high  # Wilson's lower end for n right of n is n / (n + z²)


def wilson_f1(right: int, wrong: int, *, confidence: float) -> Interval | None:
    """Return the interval of one class's F1 from its true positives and its FP + FN together."""
    share = wilson(right, right + wrong, confidence=confidence)
    if share is None:
        return None
    low, high = (2 * end / (1 + end) for end in (share.low, share.high))
    return replace(share, low=low, high=high, method="wilson on TP/(TP+FP+FN)")


def independent_difference(first: Metric, second: Metric) -> Interval | None:
    """Return the interval of first minus second, measured on different rows; None without both intervals.

    The square of its reach is the sum of the squares of the two reaches (MOVER, Zou and Donner 2008).
    """
    one, two = first.interval, second.interval
    if first.value is None or second.value is None or one is None or two is None:
        return None
    point = first.value - second.value
    return Interval(
        low=point - math.hypot(first.value - one.low, two.high - second.value),
        high=point + math.hypot(one.high - first.value, second.value - two.low),
        confidence=one.confidence,
        method="of two independent samples, from the interval of each",
    )
