"""A temperature fitted on validation rows, and how well probabilities fit the holdout before and after.

The temperature is the one that makes it most likely which answers are right and which wrong, under a normal prior of
its logarithm (mean 0, standard deviation 1), which keeps it finite where every answer is right (docs/decisions/0017).
Bins have equally many rows here (Nixon et al. 2019), so that the sure answers do not share one. `ece_less_chance` takes
off what chance adds to the error of few rows in the mean (Kumar et al. 2019, section 5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from engine.evidence import CalibratedForm, CalibrationBin, Metric
from engine.metrics.families.labels import binned, bins_of, calibration_error
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import metrics_of
from engine.metrics.table import (
    Column,
    Floats,
    Measure,
    Sums,
    Table,
    make_table,
    ratio,
)
from engine.recipe.methods import FEWEST_TO_CALIBRATE
from engine.runtime.scoring.label_search import SMALLEST, tempered
from engine.values import replace

Part = Callable[[Sums, str], Floats]
BINS: Final = 15
FEWEST_IN_BIN: Final = 20
"""Holdout rows; with fewer than 15 times as many there are fewer bins."""
_WIDEST: Final = 4.0
"""Of the logarithm of a temperature, either way."""


def fit(validation: Sequence[Prediction], labels: Sequence[str], *, form: str) -> CalibratedForm:
    """Fit a temperature on the answers to validation rows; none on fewer than `FEWEST_TO_CALIBRATE`."""
    from scipy.optimize import minimize_scalar  # takes time to import

    rows = [row for row in validation if row.probabilities]
    if len(rows) < FEWEST_TO_CALIBRATE:
        there = f"{len(rows)} validation rows with probabilities"
        reason = f"{there}: {FEWEST_TO_CALIBRATE} are needed to fit a temperature"
        return CalibratedForm(form=form, fitted_rows=len(rows), temperature=None, reason=reason)
    logs = np.log(np.maximum([row.probabilities for row in rows], SMALLEST))
    targets = _targets(rows, labels)
    right = logs.argmax(axis=1) == targets

    def loss(width: float) -> float:
        scaled = logs / np.exp(width)
        confidence = np.exp(scaled.max(axis=1) - np.logaddexp.reduce(scaled, axis=1))
        shown = np.maximum(np.where(right, confidence, 1 - confidence), SMALLEST)
        return float(width**2 / 2 - np.log(shown).sum())

    found = minimize_scalar(loss, bounds=(-_WIDEST, _WIDEST), method="bounded")
    return CalibratedForm(form=form, fitted_rows=len(rows), temperature=float(np.exp(found.x)))


def calibrated(predictions: Sequence[Prediction], temperature: float | None) -> list[Prediction]:
    """Return predictions with the probabilities that a temperature gives; as they are for None."""
    if temperature is None:
        return [*predictions]
    found = []
    for row in predictions:
        # the chosen label is the most probable one, which no temperature changes
        shares = tempered(row.probabilities, temperature) if row.probabilities else ()
        found.append(replace(row, probabilities=shares, probability=max(shares)) if shares else row)
    return found


def reliability(
    made: CalibratedForm, holdout: Sequence[Prediction], judging: Judging
) -> CalibratedForm:
    """Judge probabilities on the holdout as the model gives them, and after the temperature."""
    rows = [row for row in holdout if row.probabilities]
    if not rows or len(rows) < len(holdout):
        return replace(made, reason=made.reason or "answers to the holdout have no probabilities")
    after = calibrated(rows, made.temperature)
    bins = max(1, min(BINS, len(rows) // FEWEST_IN_BIN))
    columns = _columns("before", rows, judging.task.labels, bins)
    if made.temperature is not None:
        columns |= _columns("after", after, judging.task.labels, bins)
    table = make_table(rows, columns)

    def measured(of: Callable[[Part, Sums], Floats]) -> tuple[Metric, ...]:
        """All draws are of the same rows with the same weights, whatever is measured."""
        measures = [Measure(name=name, value=partial(of, part)) for name, part in _PARTS.items()]
        return metrics_of(table, measures, confidence=judging.confidence, seed=judging.seed)

    made = replace(
        made,
        before=measured(lambda part, sums: part(sums, "before")),
        bins_before=_diagram(table, "before", rows, bins),
    )
    if made.temperature is None:
        return made
    return replace(
        made,
        after=measured(lambda part, sums: part(sums, "after")),
        change=measured(lambda part, sums: part(sums, "after") - part(sums, "before")),
        bins_after=_diagram(table, "after", after, bins),
    )


def _targets(rows: Sequence[Prediction], labels: Sequence[str]) -> Floats:
    place = {label: number for number, label in enumerate(labels)}
    return np.array([place[row.target] for row in rows], dtype=np.intp)


def _columns(
    side: str, rows: Sequence[Prediction], labels: Sequence[str], bins: int
) -> dict[str, Column]:
    shares = np.array([row.probabilities for row in rows], dtype=float)
    targets = _targets(rows, labels)
    of_target = shares[np.arange(len(rows)), targets]
    right = np.array([row.label == row.target for row in rows], dtype=bool)
    confidence = np.array([row.probability or 0.0 for row in rows])
    places = _equal_mass(confidence, bins)
    one = np.ones(len(rows))
    return {
        # a row that is right, or wrong, is also sure of itself
        f"nll.{side}": Column(
            -np.log(np.maximum(of_target, SMALLEST)), 0 * one, one * np.log(len(labels))
        ),
        f"brier.{side}": Column((shares**2).sum(axis=1) + 1 - 2 * of_target, 0 * one, 2 * one),
        **binned(confidence, right, places, bins, f".{side}"),
    }


def _equal_mass(confidence: Floats, bins: int) -> Floats:
    """Return the bin of each row: equally many rows in each, as far as equal probabilities stay together."""
    order = np.sort(confidence)
    edges = order[[round(place * order.size / bins) for place in range(1, bins)]]
    return np.searchsorted(edges, confidence, side="right")


def _less_chance(sums: Sums, side: str) -> Floats:
    """Return the calibration error less the mean that it would rise by if each bin were drawn once more.

    The distance of a bin drawn again is that of a normal number from 0, whose mean is known (a folded normal).
    """
    from scipy.special import erf  # takes time to import

    rows = sums[f"bin_rows.{side}"]
    right = ratio(sums[f"bin_right.{side}"], rows)
    gap = np.abs(ratio(sums[f"bin_probability.{side}"], rows) - right)
    spread = np.sqrt(ratio(right * (1 - right), rows))
    sizes = ratio(gap, spread * np.sqrt(2))
    drawn = spread * np.sqrt(2 / np.pi) * np.exp(-(sizes**2)) + gap * erf(sizes)
    again = np.where(spread > 0, drawn, gap)
    error = ratio(((2 * gap - again) * rows).sum(axis=-1), sums["rows"])
    return np.maximum(error, 0)


_PARTS: Final[dict[str, Part]] = {
    "ece": lambda sums, side: calibration_error(sums, f".{side}"),
    "ece_less_chance": _less_chance,
    "brier": lambda sums, side: ratio(sums[f"brier.{side}"], sums["rows"]),
    "nll": lambda sums, side: ratio(sums[f"nll.{side}"], sums["rows"]),
}


def _diagram(
    table: Table, side: str, rows: Sequence[Prediction], bins: int
) -> tuple[CalibrationBin, ...]:
    confidence = np.array([row.probability or 0.0 for row in rows])
    places: Any = _equal_mass(confidence, bins)
    held = {place: confidence[places == place] for place in range(bins)}
    ends = {place: (one.min(), one.max()) for place, one in held.items() if one.size}
    return bins_of(table.sums(), ends, f".{side}")
