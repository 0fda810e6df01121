"""Exact chances of a number of successes, and the interval of a share that stands on them. No NumPy."""

from __future__ import annotations

import math

from engine.evidence import Interval

EXACT = "clopper-pearson"
_NEGLIGIBLE = 1e-17
_STEPS = 60
"""Of a bisection: down to the last digit of a float."""


def clopper_pearson(successes: int, trials: int, *, confidence: float) -> Interval | None:
    """Return the exact interval of a share (Clopper and Pearson 1934), or None without trials.

    Each end by itself misses the share in at most `(1 - confidence) / 2` of all samples.
    """
    if trials <= 0:
        return None
    chance = (1 - confidence) / 2
    low = _share_of(successes, trials, chance) if successes else 0.0
    high = 1 - _share_of(trials - successes, trials, chance) if successes < trials else 1.0
    return Interval(low=low, high=high, confidence=confidence, method=EXACT)


def _share_of(successes: int, trials: int, chance: float) -> float:
    """Return the share at which so many successes, or more, have that chance."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(successes, trials, middle) < chance else (low, middle)
    return low


def tail(successes: int, trials: int, share: float) -> float:
    """Return the exact chance of at least that many successes in independent trials."""
    if successes <= 0:
        return 1.0
    if successes > trials or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    # The shorter tail is summed: its terms fall fast, and a tiny chance is not lost beside 1.
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
