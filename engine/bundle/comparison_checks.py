"""Whether interval and p-value of a comparison can be those of the two models' scores.

A report has the confusion matrix of each model, and not which rows both got right. So neither follows exactly, but the
interval of a paired difference is no narrower than the difference of both models' own ones and no wider than their sum,
McNemar's test knows few p-values for one difference, a permutation test those of its draws, and interval and p-value
cannot contradict each other. The limits are well beyond what 780 simulated pairs of models on 20 to 300 rows of 2 to 6
labels came to: `benchmarks/comparison_limits.py` repeats them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from statistics import NormalDist
from typing import Final

from engine.bundle.scores import NEAR, by_name, rows_of, span
from engine.evidence import Comparison, Interval, Metric, Scores
from engine.kinds import AnswerForm
from engine.lock.coherence import OF_PROBABILITIES
from engine.recipe.model import Recipe

FEWEST_ROWS: Final = 20
NARROWER: Final = 0.8
WIDER: Final = 1.25
"""Of the difference and the sum of the widths of both models' own intervals."""
LEAST: Final = 0.01
"""In the metric's unit."""
SKEW: Final = 2.5
"""How much farther the upper end may stand from the value than the lower one."""
SURER: Final = 1.0
"""Standard errors by which a p-value may be surer than its interval."""
DOUBT: Final = 3.0
DOUBTS: Final = 3.5
"""Standard errors, and those of the p-value times so much, by which an interval may be surer than it."""
RESOLVED: Final = 0.002
"""Below it, a permutation test has too few draws for a comparison."""
_NORMAL: Final = NormalDist()


def comparison_statistics(
    comparisons: Iterable[Comparison], judged: Scores, rivals: Mapping[str, Scores], recipe: Recipe
) -> Iterator[str]:
    """Yield the comparisons whose interval or p-value the scores deny; rows of groups are not looked at."""
    if recipe.task.spec.answer is not AnswerForm.LABEL or recipe.splits.by == "group":
        return
    of_rows = _of_rows(judged, recipe)
    for one in comparisons:
        if one.n < FEWEST_ROWS or one.metric in OF_PROBABILITIES or one.metric not in of_rows:
            continue
        name = f"the comparison with {one.name} in {one.metric}"
        yield from (f"{name}: {why}" for why in _p_value(one, is_of_rows=of_rows[one.metric]))
        if one.interval is not None and one.difference is not None:
            sides = (judged, rivals.get(one.name))
            own = tuple(by_name(side).get(one.metric) for side in sides)
            yield from (f"{name}: {why}" for why in _interval(one.interval, one.difference, own))
            yield from (f"{name}: {why}" for why in _both(one, one.interval, one.difference))


def _of_rows(judged: Scores, recipe: Recipe) -> Mapping[str, bool]:
    """Return, by metric, whether it is a share of rows, of which McNemar's test is exact."""
    from engine.metrics.families import family_of  # brings numpy

    family = family_of(recipe.task)
    table = family.tabulate(rows_of(judged.confusion, recipe.task.labels), recipe.task)
    return {one.name: bool(one.of_rows) for one in family.measures(table)}


def _p_value(one: Comparison, *, is_of_rows: bool) -> Iterator[str]:
    from engine.metrics.paired import mcnemar  # brings numpy and scipy
    from engine.metrics.resampling import DRAWS

    if one.p_value is None or one.difference is None:
        return
    right = "McNemar's exact test" if is_of_rows else "paired permutation test"
    if one.test != right:
        yield f"its test is `{one.test}`, which is `{right}` for this metric"
        return
    if not is_of_rows:
        hits = one.p_value * (DRAWS + 1)
        if hits < 1 - NEAR or abs(hits - round(hits)) > NEAR * DRAWS:
            yield f"no {DRAWS} draws give the p-value {one.p_value:g}"
        return
    more = round(abs(one.difference) * one.n)
    lost = range((one.n - more) // 2 + 1)
    if not any(
        math.isclose(one.p_value, mcnemar(less + more, less), rel_tol=NEAR) for less in lost
    ):
        yield f"no answers to {one.n} rows with this difference give the p-value {one.p_value:g}"


def _interval(found: Interval, difference: float, own: tuple[Metric | None, ...]) -> Iterator[str]:
    if "bootstrap" not in found.method:
        yield f"its interval is made by `{found.method}`"
    width = found.high - found.low
    mine, its = (one.interval if one else None for one in own)
    if mine is not None and its is not None:
        widths = mine.high - mine.low, its.high - its.low
        narrowest = NARROWER * abs(widths[0] - widths[1]) - LEAST
        if not narrowest <= width <= WIDER * sum(widths) + LEAST:
            yield f"its interval of {span(found)} cannot be that of {span(mine)} and {span(its)}"
    # of a loss against a model that is nearly always right, the interval is as skew by itself
    if difference >= 0 and found.high - difference > SKEW * (difference - found.low) + LEAST:
        yield f"its interval of {span(found)} has {difference:g} too near at its lower end"


def _both(one: Comparison, found: Interval, difference: float) -> Iterator[str]:
    """Yield that a p-value and an interval cannot be of the same rows."""
    error = (found.high - found.low) / 2 / _NORMAL.inv_cdf(0.5 + found.confidence / 2)
    if one.p_value is None or error <= 0 or not 0 < one.p_value <= 1:
        return
    by_interval = abs(difference) / error
    by_test = -_NORMAL.inv_cdf(max(one.p_value / 2, 1e-300))
    surest = max(DOUBT, DOUBTS * by_test)
    if by_test > by_interval + SURER or (one.p_value > RESOLVED and by_interval > surest):
        yield f"its interval of {span(found)} and its p-value of {one.p_value:g} deny each other"
