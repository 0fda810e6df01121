"""Power of a holdout, before anything is trained: how often a model of a true value passes. No NumPy.

Shares of rows are exact: the right answers of a model whose true share is p are binomial, and which numbers of them
pass follows from the Wilson interval that the gate uses. Other metrics are approximated by a share of
*effective rows*, as many as give a share the same standard error (`Spread`). A gain over another model on the same rows
follows the normal approximation of McNemar's test (Miettinen 1968; Connor 1987) for a stated *discordance*: the share
of rows on which only one of the two is right. Two rows are added, as to the interval of the gate.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist

from engine.metrics.intervals import tail, wilson
from engine.recipe.metrics import ROUNDING
from engine.values import Value, replace

OFTEN = 0.8
"""Power in plans: four times in five."""
SELDOM = 0.2
"""Power at which a model is missed four times in five."""
FEW_ROWS = 30
"""Below this many rows of a class a 95 % interval is wider than 0.2 over most of its range."""
MOST_ROWS = 1_000_000

_STEPS = 24
"""Steps of a bisection: finer than any number that is shown."""
_RECALLS = (0.001, *(step / 20 for step in range(1, 20)), 0.97, 0.98, 0.99, 0.995, 0.999)
"""Recalls for which the spread of macro-F1 is computed; in between it is interpolated."""
_NORMAL = NormalDist()


class ThresholdRule(Value):
    bound: float
    confidence: float
    on_interval: bool = True
    is_exact: bool = False
    """The interval is that of Clopper and Pearson, not Wilson's."""


class Spread(Value):
    """A metric from 0 to 1, better when higher, as a share of effective rows."""

    per_row: Callable[[float], float]
    """Effective rows for each row of the holdout, by the metric's true value."""
    share: Callable[[float], float] = lambda value: value
    """Share whose interval the gate uses, by the metric's value; increasing."""


ROWS = Spread(per_row=lambda _: 1.0)
"""A share of rows; also a mean of scores from 0 to 1, which varies at most as much."""


@lru_cache(maxsize=256)
def of_class(portion: float) -> Spread:
    return Spread(per_row=lambda _: portion)


@lru_cache(maxsize=256)
def class_f1(portion: float) -> Spread:
    """Return the spread of a class's F1: a share of TP + FP + FN, as in its interval.

    It assumes as many false positives as false negatives: s (2 - F1) decisions for s rows.
    """
    return Spread(per_row=lambda f1: portion * (2 - f1), share=lambda f1: f1 / (2 - f1))


@lru_cache(maxsize=256)
def macro_recall(portions: tuple[float, ...]) -> Spread:
    effective = len(portions) ** 2 / sum(1 / portion for portion in portions)
    return Spread(per_row=lambda _: effective)


@lru_cache(maxsize=256)
def macro_f1(portions: tuple[float, ...]) -> Spread:
    """Return the spread of macro-F1: equal recalls, errors over the other classes by their size.

    By the delta method: a right row of class i moves the mean by (2 - 2 F1) / (rows + predicted rows) of i, an error
    from i to j by F1 / (rows + predicted rows) of i and of j. With equal classes all rows are effective.
    """
    points = [_macro_f1_rows(portions, recall) for recall in _RECALLS]

    def per_row(value: float) -> float:
        place = bisect_left(points, (value, 0.0))
        if place in (0, len(points)):
            return points[min(place, len(points) - 1)][1]
        (low, rows), (high, next_rows) = points[place - 1], points[place]
        return rows + (next_rows - rows) * (value - low) / (high - low)

    return Spread(per_row=per_row)


def _macro_f1_rows(portions: Sequence[float], recall: float) -> tuple[float, float]:
    """Compute macro-F1 at a recall of all classes, and its effective rows for each row."""
    if len(portions) < 2:  # a single class has no errors
        return recall, 1.0
    wrong = 1 - recall
    odds = [portion / (1 - portion) for portion in portions]
    both = [  # rows of the class, and rows predicted as it
        portion + portion * recall + portion * wrong * (sum(odds) - own)
        for portion, own in zip(portions, odds, strict=True)
    ]
    f1 = [2 * portion * recall / total for portion, total in zip(portions, both, strict=True)]
    hit = [(2 - 2 * value) / total for value, total in zip(f1, both, strict=True)]
    cost = [value / total for value, total in zip(f1, both, strict=True)]
    mean_cost = sum(portion * value for portion, value in zip(portions, cost, strict=True))
    mean_square = sum(portion * value**2 for portion, value in zip(portions, cost, strict=True))
    variance = 0.0  # of one row; the mean of all influences is 0
    for portion, own, right, lost in zip(portions, odds, hit, cost, strict=True):
        others = mean_square - portion * lost**2 + 2 * lost * (mean_cost - portion * lost)
        variance += portion * recall * right**2
        variance += own * wrong * (others + (1 - portion) * lost**2)
    mean = sum(f1) / len(f1)
    return mean, mean * (1 - mean) / (variance / len(f1) ** 2)


@lru_cache(maxsize=4096)
def least_right(trials: int, rule: ThresholdRule) -> int | None:
    """Return the smallest number of right rows that passes; None where not even all of them pass."""
    if trials < 1 or not _passes(trials, trials, rule):
        return None
    low, high = 0, trials
    # Where fewer right rows pass, more pass too.
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _passes(middle, trials, rule) else (middle + 1, high)
    return low


def _passes(right: int, trials: int, rule: ThresholdRule) -> bool:
    if right / trials < rule.bound - ROUNDING:
        return False
    if not rule.on_interval:
        return True
    if rule.is_exact:
        return tail(right, trials, rule.bound) <= (1 - rule.confidence) / 2
    interval = wilson(right, trials, confidence=rule.confidence)
    return interval is not None and interval.low >= rule.bound - ROUNDING


@lru_cache(maxsize=4096)
def pass_rate(value: float, rule: ThresholdRule, *, rows: float, spread: Spread = ROWS) -> float:
    """Return how often a model whose true value is `value` passes on so many rows."""
    trials = round(rows * spread.per_row(value))
    mapped = replace(rule, bound=spread.share(rule.bound))
    least = least_right(trials, mapped)
    return 0.0 if least is None else tail(least, trials, spread.share(value))


def passing_value(rule: ThresholdRule, *, rows: int, spread: Spread = ROWS) -> float | None:
    return true_value(lambda value: pass_rate(value, rule, rows=rows, spread=spread))


def rows_to_pass(value: float, rule: ThresholdRule) -> int | None:
    return enough_rows(lambda rows: pass_rate(value, rule, rows=rows))


def gain_rate(gain: float, rule: ThresholdRule, *, rows: float, discordance: float) -> float:
    """Return how often a true gain passes, where `rule.bound` is the least gain.

    With a bound of 0 or more the exact test of no gain must pass too; a bound below 0 is an allowed loss, without a
    test. `rows` may be effective rows. The discordance is at least the gain.
    """
    if rows <= 0:
        return 0.0
    discordant = max(discordance, abs(gain), ROUNDING)
    error = math.sqrt(max(discordant - gain**2, ROUNDING) / rows)
    if not rule.on_interval:
        return _NORMAL.cdf((gain - rule.bound) / error)
    quantile = _NORMAL.inv_cdf(0.5 + rule.confidence / 2)
    shrunk, widened = gain * rows / (rows + 2), (discordant * rows + 2) / (rows + 2)
    reach = quantile * math.sqrt(max(widened - shrunk**2, ROUNDING) / (rows + 2))
    shown = _NORMAL.cdf((shrunk - reach - rule.bound) / (error * rows / (rows + 2)))
    if rule.bound < 0:
        return shown
    at_chance = quantile * math.sqrt(discordant / rows) + 1 / rows
    return min(shown, _NORMAL.cdf((gain - at_chance) / error))


def true_value(
    rate: Callable[[float], float], *, often: float = OFTEN, lowest: float = 0.0
) -> float | None:
    """Return the lowest true value, or gain, whose `rate` of passing is so high; None where none is."""
    if rate(1.0) < often:
        return None
    low, high = lowest, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if rate(middle) >= often else (middle, high)
    return high


def enough_rows(rate: Callable[[int], float]) -> int | None:
    """Return about how many rows give the power `OFTEN`, rounded up to two digits; None for too many."""
    high = 10
    while rate(high) < OFTEN:
        high *= 2
        if high > MOST_ROWS:
            return None
    low = high // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if rate(middle) >= OFTEN else (middle + 1, high)
    return round_up(high)


def round_up(rows: float) -> int:
    """Round up to two digits: 437 rows become 440."""
    step: int = 10 ** max(0, math.floor(math.log10(max(rows, 1))) - 1)
    return math.ceil(round(rows / step, 6)) * step
