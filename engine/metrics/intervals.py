"""Intervals in closed form, for proportions and for F1. They do not collapse at 0 or 1.

Wilson's score interval (Wilson 1927) for accuracy, valid output, precision and recall. The F1 of
one class is a monotone function of a proportion, `TP / (TP + FP + FN)`, so Wilson's interval of
that proportion maps onto one of F1: the indirect method of Lam, Gopal and Qian (arXiv 2309.14621),
which does not collapse for rare classes as a bootstrap does.

Measured by `benchmarks/interval_coverage.py` at a nominal 95 %, for the rarest class of simulated
holdouts of 100 and 300 rows: its interval of F1 lay wholly above the truth in at most 3.0 % of them,
a bootstrap's in up to 72 %.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

from engine.evidence import Interval, Metric


def wilson(successes: float, trials: float, *, confidence: float) -> Interval | None:
    """Return Wilson's interval of a proportion, or None without trials."""
    if trials <= 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / trials
    spread = z * z / trials
    center = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    # In real numbers both ends are exact there; in floats they are off by a rounding, and a bound
    # of 0 or 1 would fail.
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == trials else min(1.0, center + half)
    return Interval(low=low, high=high, confidence=confidence, method="wilson")


def wilson_f1(right: int, wrong: int, *, confidence: float) -> Interval | None:
    """Return the interval of one class's F1 from its true positives and its FP + FN together."""
    share = wilson(right, right + wrong, confidence=confidence)
    if share is None:
        return None
    low, high = (2 * end / (1 + end) for end in (share.low, share.high))
    return replace(share, low=low, high=high, method="wilson on TP/(TP+FP+FN)")


def independent_difference(first: Metric, second: Metric) -> Interval | None:
    """Return the interval of first minus second, which were measured on different rows.

    From the interval of each: the square of its reach is that of the two reaches together (MOVER, Zou
    and Donner 2008). None where one of them has no value or no interval.
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
