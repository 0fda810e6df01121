"""Differences between two models on the same rows, with intervals and p-values.

Rows are paired by id, so what both models get right or wrong cancels: a difference is known far
more closely than either score. P-values are two-sided, of "no difference at all": McNemar's exact
test for accuracy, a Monte Carlo permutation of the two outputs on each row for every other metric.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.evidence import Metric
from engine.metrics.classification import score
from engine.metrics.predictions import Prediction
from engine.metrics.resampling import DRAWS, PAIRED_METHOD, draw, percentile_interval, swap
from engine.metrics.tally import Coded, code, metric_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """First minus second on one metric."""

    metric: Metric
    p_value: float | None
    """Of no difference at all; None where the difference is undefined."""
    test: str
    """Which test gave the p-value."""


def paired_difference(
    name: str,
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    *,
    labels: Sequence[str],
    confidence: float,
    seed: int,
) -> Difference:
    """Subtract `second` from `first` on the metric called `name`, over rows paired by id."""
    values = [
        score(model, labels, confidence=confidence, seed=seed).metric(name)
        for model in (first, second)
    ]
    undefined = [metric.undefined for metric in values if metric.value is None]
    if undefined:
        metric = Metric(name=name, value=None, n=values[0].n, undefined=undefined[0])
        return Difference(metric=metric, p_value=None, test="")
    point = (values[0].value or 0.0) - (values[1].value or 0.0)
    coded = code(labels, first, second)
    drawn = [metric_values(name, counts, labels=labels) for counts in draw(coded, seed=seed)]
    interval = percentile_interval(
        drawn[0] - drawn[1], point, confidence=confidence, method=PAIRED_METHOD
    )
    metric = Metric(name=name, value=point, n=values[0].n, interval=interval)
    if name == "accuracy":
        return Difference(metric=metric, p_value=_mcnemar(coded), test="McNemar's exact test")
    p_value = _permutation(name, coded, point=point, seed=seed)
    return Difference(metric=metric, p_value=p_value, test="paired permutation test")


def _mcnemar(coded: Coded) -> float:
    """Compute the exact two-sided p-value: twice the smaller binomial tail of discordant rows."""
    first, second = (output == coded.targets for output in coded.outputs)
    gained = int((first & ~second).sum())
    lost = int((second & ~first).sum())
    discordant = gained + lost
    tail = sum(math.comb(discordant, count) for count in range(min(gained, lost) + 1))
    return min(1.0, tail / 2 ** (discordant - 1) if discordant else 1.0)


def _permutation(name: str, coded: Coded, *, point: float, seed: int) -> float:
    """Count swaps that give a difference at least as large; the observed one is among them.

    (1 + hits) / (1 + draws), never 0: Phipson and Smyth (2010).
    """
    first, second = (
        metric_values(name, counts, labels=coded.labels) for counts in swap(coded, seed=seed)
    )
    hits = int((abs(first - second) >= abs(point) - 1e-12).sum())
    return (1 + hits) / (1 + DRAWS)
