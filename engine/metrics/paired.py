"""Differences between two models on the same rows, with intervals and p-values."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr

from engine.evidence import Metric
from engine.metrics.families import family_of
from engine.metrics.predictions import Judging, Prediction, has_shares_of
from engine.metrics.resampling import draw, method, percentile_interval, swap
from engine.metrics.table import Measure, Sums, Table, same_rows
from engine.values import Value, replace


class Difference(Value):
    """First minus second on one metric, in the metric's own unit; whether more is better is not part of it."""

    metric: Metric
    p_value: float | None
    """Of no difference at all; None where the difference is undefined."""
    test: str


class PairedTables(Value):
    """Two models' statistics on the same rows, and their common draws."""

    tables: tuple[Table, Table]
    measures: dict[str, tuple[Measure, Measure]]
    drawn: tuple[Sums, ...]
    """One of leading shape (draws,) for each model; empty without rows."""
    judging: Judging


def pair(
    first: Sequence[Prediction], second: Sequence[Prediction], judging: Judging
) -> PairedTables:
    """Prepare two models' predictions for differences on any number of metrics."""
    family = family_of(judging.task)
    models = _alike(list(first), same_rows(first, second), labels=judging.task.labels)
    one, two = (family.tabulate(model, judging.task) for model in models)
    named = zip(family.measures(one), family.measures(two), strict=True)
    # One set of weights for both models: what they have in common cancels in each draw.
    drawn = draw(one, two, seed=judging.seed) if first else ()
    measures = {measures[0].name: measures for measures in named}
    return PairedTables(tables=(one, two), measures=measures, drawn=drawn, judging=judging)


def paired_difference(
    name: str, first: Sequence[Prediction], second: Sequence[Prediction], judging: Judging
) -> Difference:
    """Subtract `second` from `first` on the metric called `name`, over rows paired by id.

    KeyError for a metric that the kind of task does not have.
    """
    return difference(name, pair(first, second, judging))


def difference(name: str, models: PairedTables, *, with_test: bool = True) -> Difference:
    """Subtract the second model's value of a metric from the first's; without a test there is no p-value."""
    measures = models.measures[name]
    sums = [table.sums() for table in models.tables]
    n = int(measures[0].n(sums[0]))
    reasons = [measure.undefined(of) for measure, of in zip(measures, sums, strict=True)]
    values = [
        0.0 if any(reasons) else float(m.value(s)) for m, s in zip(measures, sums, strict=True)
    ]
    if not any(reasons) and not all(map(math.isfinite, values)):
        reasons.append("too large a number")
    if any(reasons):
        metric = Metric(name=name, value=None, n=n, undefined=next(filter(None, reasons)))
        return Difference(metric=metric, p_value=None, test="")
    point = values[0] - values[1]
    drawn = [m.drawn(d, s) for m, d, s in zip(measures, models.drawn, sums, strict=True)]
    enough = measures[0].has_interval(models.tables[0])
    interval = percentile_interval(
        drawn[0] - drawn[1],
        point,
        confidence=models.judging.confidence,
        method=method(models.tables[0], paired=True),
    )
    metric = Metric(name=name, value=point, n=n, interval=interval if enough else None)
    if not with_test:
        return Difference(metric=metric, p_value=None, test="")
    p_value, test = _p_value(measures, models, point=point)
    return Difference(metric=metric, p_value=p_value, test=test)


def _alike(
    first: list[Prediction], second: list[Prediction], *, labels: Sequence[str]
) -> tuple[list[Prediction], ...]:
    """Drop the probabilities of all labels unless both models have them: Brier scores are then of answers.

    So too where those of one are of other labels, or of these in another order: files of answers do not name them.
    """
    given = [bool(row.probabilities) for row in (*first, *second)]
    if not any(given):
        return first, second
    if all(given) and all(has_shares_of(model, labels) for model in (first, second)):
        return first, second
    return tuple([replace(row, probabilities=()) for row in rows] for rows in (first, second))


def _p_value(
    measures: tuple[Measure, Measure], models: PairedTables, *, point: float
) -> tuple[float, str]:
    one, two = models.tables
    if measures[0].of_rows and one.groups is None:
        column = measures[0].of_rows
        hits = one.column(column) > 0, two.column(column) > 0
        gained, lost = int((hits[0] & ~hits[1]).sum()), int((hits[1] & ~hits[0]).sum())
        return mcnemar(gained, lost), "McNemar's exact test"
    # Swaps that give a difference at least as large, the observed one among them: (1 + hits) / (1 + draws), never 0
    # (Phipson and Smyth 2010). With a tolerance: a swap back to the same counts may differ in the last bits of a float.
    swapped = swap(one, two, seed=models.judging.seed)
    first, second = (m.value(s) for m, s in zip(measures, swapped, strict=True))
    as_large = np.abs(first - second) >= abs(point) - 1e-9 * max(1.0, abs(point))
    of_groups = "" if one.groups is None else f" of {one.units} groups"
    p_value = (1 + int(as_large.sum())) / (1 + first.size)
    return p_value, f"paired permutation test{of_groups}"


def mcnemar(gained: int, lost: int) -> float:
    """Compute the exact two-sided p-value: twice the smaller binomial tail of discordant rows.

    What is too small for a number is the smallest one, never 0.
    """
    tail = 2 * float(bdtr(min(gained, lost), gained + lost, 0.5))
    return min(1.0, max(tail, sys.float_info.min))
