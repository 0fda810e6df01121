"""Does a model know when it is right? Brier score, expected calibration error, bins of a diagram.

The calibration error is that of Guo et al. (2017): 15 bins of equal width over the probability of
the answer given, each compared with how often its answers were right. The Brier score is the sum
of squared errors over all labels where the probabilities of all are known, as in scikit-learn at
`scale_by_half=False`, and else the squared error of the answer's own probability.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.evidence import Calibration, CalibrationBin
from engine.metrics.measure import Measure, mean_of_rows, no_rows, ratio
from engine.metrics.predictions import Prediction
from engine.metrics.table import Column, Floats, Sums, one_hot
from engine.values import replace

BINS = 15
_EDGES = np.arange(BINS + 1) / BINS


def columns(
    predictions: Sequence[Prediction], correct: Floats, *, targets: Floats | None = None
) -> dict[str, Column]:
    """Return the statistics of rows that were answered right or not, at the probabilities given.

    A row that is right, or wrong, is also sure of itself. `targets`: label numbers, for the Brier score over all
    labels.
    """
    given = [row.probability for row in predictions]
    known = np.array([value is not None for value in given], dtype=bool)
    confidence = np.array([value or 0.0 for value in given], dtype=float)
    places = np.searchsorted(_EDGES[1:-1], confidence, side="left")  # (low, high], as Guo et al.
    # `one_hot` leaves out what is at place BINS: a row without a probability is in no bin.
    places = np.where(known, places, BINS)
    every = (
        targets is not None and targets.size > 0 and all(row.probabilities for row in predictions)
    )
    brier = (confidence - correct) ** 2 if not every else _over_labels(predictions, targets)
    # Over all labels: 1 for a wrong label that is sure, and 1 for the right one that is not.
    worst = np.full(places.size, 2.0 if every else 1.0)
    in_bins, nowhere = one_hot(places, BINS), one_hot(np.full(places.size, BINS), BINS)
    return {
        "known": Column(known.astype(float)),
        "brier": Column(np.where(known, brier, 0.0), np.zeros(places.size), worst),
        "worst_brier": Column(worst),
        "bin_rows": Column(in_bins),
        "bin_probability": Column(one_hot(places, BINS, confidence)),
        "bin_right": Column(one_hot(np.where(correct, places, BINS), BINS), in_bins, nowhere),
    }


def calibration(sums: Sums) -> Calibration | None:
    """Return the bins of a reliability diagram; None where answers have no probabilities."""
    if _unknown(sums):
        return None
    counts, right = sums["bin_rows"], ratio(sums["bin_right"], sums["bin_rows"])
    confidence = ratio(sums["bin_probability"], counts)
    return Calibration(
        bins=tuple(
            CalibrationBin(
                low=float(_EDGES[place]),
                high=float(_EDGES[place + 1]),
                rows=int(counts[place]),
                confidence=float(confidence[place]),
                accuracy=float(right[place]),
            )
            for place in range(BINS)
        ),
        ece=float(_error(sums)),
        brier=float(ratio(sums["brier"], sums["rows"])),
    )


def _error(sums: Sums) -> Floats:
    gaps = np.abs(sums["bin_probability"] - sums["bin_right"])
    return ratio(gaps.sum(axis=-1), sums["rows"])


def _unknown(sums: Sums) -> str:
    if reason := no_rows(sums):
        return reason
    return "" if sums["known"] == sums["rows"] else "answers have no probabilities"


def _over_labels(predictions: Sequence[Prediction], targets: Floats | None) -> Floats:
    """Sum the squared errors over all labels, row by row."""
    chances = np.array([row.probabilities for row in predictions], dtype=float)
    rows_ = np.arange(len(predictions))
    squared = (chances**2).sum(axis=1)
    return np.asarray(squared + 1 - 2 * chances[rows_, targets])


MEASURES = (
    Measure(name="ece", value=_error, undefined=_unknown),
    replace(mean_of_rows("brier", "brier"), undefined=_unknown),
)
"""Metrics of every kind whose answers are labels."""
