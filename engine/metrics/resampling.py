"""Seeded resampling of rows: draws for intervals, swaps for p-values.

Intervals come from the Bayesian bootstrap (Rubin 1981: every row gets a random weight from a unit
exponential) over the rows and two more. An ordinary bootstrap of rows that are all right returns
the same number 2,000 times, an interval of width zero; two pseudo-rows keep it honest, as the
Wilson and Agresti-Coull intervals do for one proportion, and Bonett and Price (2012) for two paired
ones. For one model: one row it gets right and one it gets wrong. For two models compared on the
same rows: one row that only the first gets right and one that only the second gets right. Their
classes are drawn anew in every draw, by the frequency of the classes.

Measured by `benchmarks/interval_coverage.py` at a nominal 95 %, on 400 simulated holdouts each of
100 and of 300 rows with 2, 5 and 20 classes: the interval of macro-F1 lay wholly above the truth,
which lets a bad model through a `lower_bound` gate, in at most 2.8 % of them; an ordinary
bootstrap's in up to 65 %. It lay wholly below in up to 19 % where classes have five rows each:
macro-F1 itself reads too low there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engine.evidence import Interval
from engine.metrics.predictions import Prediction
from engine.metrics.tally import Coded, Floats, Tally, code, metric_values

DRAWS = 2000
METHOD = f"bayesian bootstrap ({DRAWS} draws, two rows added)"
PAIRED_METHOD = f"paired bayesian bootstrap ({DRAWS} draws, two rows added)"


def draw(coded: Coded, *, seed: int) -> tuple[Tally, ...]:
    """Draw weighted tallies, one of leading shape (DRAWS,) for each model, over common weights.

    Takes one model or two; at least two labels and one row.
    """
    random = np.random.default_rng(seed)
    targets, outputs, counts = _cells(coded)
    weights = random.standard_gamma(counts.astype(float), size=(DRAWS, counts.size))
    tallies = [_tally(weights, targets, output, len(coded.labels)) for output in outputs]
    for row in range(2):
        target = random.choice(coded.targets, size=DRAWS)
        other = (target + random.integers(1, len(coded.labels), size=DRAWS)) % len(coded.labels)
        weight = random.standard_exponential(DRAWS)
        for model, counted in enumerate(tallies):
            _add_row(counted, target, output=target if row == model else other, weight=weight)
    return tuple(tallies)


def swap(coded: Coded, *, seed: int) -> tuple[Tally, Tally]:
    """Tally two models after swapping their outputs on each row by a coin toss, DRAWS times."""
    random = np.random.default_rng(seed)
    targets, (first, second), counts = _cells(coded)
    swapped = random.binomial(counts, 0.5, size=(DRAWS, counts.size)).astype(float)
    stayed = counts - swapped
    classes = len(coded.labels)
    return (
        _sum(_tally(stayed, targets, first, classes), _tally(swapped, targets, second, classes)),
        _sum(_tally(stayed, targets, second, classes), _tally(swapped, targets, first, classes)),
    )


def macro_intervals(
    values: Mapping[str, float],
    predictions: Sequence[Prediction],
    *,
    labels: Sequence[str],
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """Draw the intervals of one model's metrics, given their values by name."""
    (drawn,) = draw(code(labels, predictions), seed=seed)
    return {
        name: percentile_interval(
            metric_values(name, drawn, labels=labels), value, confidence=confidence, method=METHOD
        )
        for name, value in values.items()
    }


def percentile_interval(
    values: Floats, point: float, *, confidence: float, method: str
) -> Interval:
    """Cut the tails off drawn values, shape (draws,); the interval always holds the point."""
    tail = (1 - confidence) / 2
    low, high = (float(bound) for bound in np.quantile(values, (tail, 1 - tail)))
    return Interval(
        low=min(low, point), high=max(high, point), confidence=confidence, method=method
    )


def _cells(coded: Coded) -> tuple[Floats, tuple[Floats, ...], Floats]:
    """Group equal rows: targets, outputs by model, and how many rows each group has."""
    rows = np.stack((coded.targets, *coded.outputs))
    cells, counts = np.unique(rows, axis=1, return_counts=True)
    return cells[0], tuple(cells[1:]), counts


def _tally(weights: Floats, targets: Floats, outputs: Floats, classes: int) -> Tally:
    """Sum weights of shape (draws, cells) into a tally of leading shape (draws,)."""
    numbers = np.arange(classes)
    is_target = (targets[:, None] == numbers).astype(float)
    is_output = (outputs[:, None] == numbers).astype(float)
    return Tally(
        rows=weights.sum(axis=1),
        valid=weights @ is_output.sum(axis=1),
        support=weights @ is_target,
        predicted=weights @ is_output,
        right=weights @ (is_target * is_output),
    )


def _add_row(counted: Tally, target: Floats, *, output: Floats, weight: Floats) -> None:
    """Add one weighted row to each draw, in place: the tally is still being built."""
    draws = np.arange(weight.size)
    counted.rows[:] += weight
    counted.valid[:] += weight
    counted.support[draws, target] += weight
    counted.predicted[draws, output] += weight
    counted.right[draws, target] += weight * (target == output)


def _sum(first: Tally, second: Tally) -> Tally:
    return Tally(
        rows=first.rows + second.rows,
        valid=first.valid + second.valid,
        support=first.support + second.support,
        predicted=first.predicted + second.predicted,
        right=first.right + second.right,
    )
