"""Probabilities that mean what they say, and no answer where they are too small.

A temperature is fitted on validation rows, and shown is how well probabilities fit the holdout before and after. It is
the one that makes it most likely which answers are right and which wrong, under a normal prior of its logarithm (mean
0, standard deviation 1), which keeps it finite where every answer is right (docs/decisions/0017). Bins have equally
many rows here (Nixon et al. 2019), so that the sure answers do not share one. `ece_less_chance` takes off what chance
adds to the error of few rows in the mean (Kumar et al. 2019, section 5).

The threshold below which a model gives no answer is the lowest at which the holdout will show both bounds with a chance
of 95 %, by what the validation rows say (beta-binomial, Jeffreys' prior); where none reaches that, the one of the best
chance. The proof is the holdout's alone, of which the choice knows nothing but its number of rows: of the rows that are
answered a share is right, with the interval of Clopper and Pearson (1934); where rows have groups it is resampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from engine.evidence import Abstention, CalibratedForm, CalibrationBin, Metric
from engine.metrics.families.labels import binned, bins_of, calibration_error
from engine.metrics.intervals import clopper_pearson
from engine.metrics.power import ThresholdRule, least_right
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import metrics_of
from engine.metrics.table import (
    Column,
    Floats,
    Measure,
    Sums,
    Table,
    flags,
    make_table,
    ratio,
    share_of_rows,
)
from engine.metrics.verdict import ACCURACY, COVERAGE
from engine.recipe.methods import FEWEST_TO_CALIBRATE
from engine.recipe.model import Acceptance, Selective
from engine.runtime.scoring.label_search import SMALLEST, tempered
from engine.values import Value, replace

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


GOOD_CHANCE: Final = 0.95
POOR_CHANCE: Final = 0.5
TIMES: Final = (4, 16)
"""So many times as many holdout rows, where those that are there give no better than a poor chance."""


class SelectiveRule(Value):
    selective: Selective
    confidence: float
    on_interval: bool
    holdout_rows: int

    @classmethod
    def of(cls, acceptance: Acceptance, holdout_rows: int) -> SelectiveRule | None:
        """Return a recipe's; None where it has none."""
        if acceptance.selective is None:
            return None
        return cls(
            selective=acceptance.selective,
            confidence=acceptance.confidence,
            on_interval=acceptance.decide_on == "lower_bound",
            holdout_rows=holdout_rows,
        )


def abstention(
    validation: Sequence[Prediction],
    holdout: Sequence[Prediction],
    rule: SelectiveRule,
    judging: Judging,
) -> Abstention | None:
    """Choose a threshold on calibrated answers to validation rows, and measure it on the holdout; None without rows."""
    rows = [row for row in validation if row.probability is not None]
    if not rows or not holdout:
        return None
    confidence = np.array([row.probability for row in rows], dtype=float)
    right = np.array([row.label == row.target for row in rows], dtype=float)
    threshold, chance = choose_threshold(confidence, right, rule)
    answered = confidence >= threshold
    accuracy, coverage = on_holdout(holdout, threshold, judging)
    out_of_scope, label = None, judging.task.out_of_scope
    if label and (strange := [row for row in holdout if row.target == label]):
        held = [row.label == label or (row.probability or 0.0) < threshold for row in strange]
        table = make_table(strange, {"held": flags(held)})
        out_of_scope = _share("out_of_scope", "held", table, judging)
    return Abstention(
        threshold=threshold,
        chance=chance,
        validation_accuracy=float(right[answered].mean()) if answered.any() else None,
        validation_coverage=float(answered.mean()),
        accuracy=accuracy,
        coverage=coverage,
        out_of_scope=out_of_scope,
    )


def calibrated_form(
    form: str,
    validation: Sequence[Prediction],
    holdout: Sequence[Prediction],
    *,
    judging: Judging,
    acceptance: Acceptance,
) -> CalibratedForm:
    """Fit a temperature on answers to validation rows, judge it on the holdout, and choose a threshold where asked."""
    fitted = fit(validation, judging.task.labels, form=form)
    made = reliability(fitted, holdout, judging)
    rule = SelectiveRule.of(acceptance, len(holdout))
    if rule is None:
        return made
    chosen_on = calibrated(validation, fitted.temperature)
    judged_on = calibrated(holdout, fitted.temperature)
    return replace(made, abstention=abstention(chosen_on, judged_on, rule, judging))


def choose_threshold(confidence: Floats, right: Floats, rule: SelectiveRule) -> tuple[float, float]:
    """Return a threshold and the estimated chance that the holdout shows both bounds with it.

    `confidence`, `right`: of validation rows, shape (rows,); at least one.
    """
    count, order = confidence.size, np.argsort(-confidence, kind="stable")
    sure, hits = confidence[order], np.cumsum(right[order])
    # rows of one probability are answered together
    ends = np.flatnonzero(np.append(sure[:-1] != sure[1:], True))
    following = np.append(sure, 0.0)[ends + 1]
    # between two rows, so that a rounding of the last digit moves no row; 0 answers every row
    thresholds = np.where(ends + 1 == count, 0.0, (sure[ends] + following) / 2)
    hits, answered = hits[ends], ends + 1
    real = chances = _chances(answered, hits, count, rule)
    for times in TIMES:
        if chances.max() >= POOR_CHANCE:
            break
        chances = _chances(
            answered, hits, count, replace(rule, holdout_rows=times * rule.holdout_rows)
        )
    accurate = hits >= rule.selective.accuracy.min * answered
    # `lexsort` sorts by its last key first: a good chance, else the best, then enough right ones, then the most rows
    best = np.lexsort((answered, accurate, np.minimum(chances, GOOD_CHANCE).round(3)))[-1]
    return float(thresholds[best]), float(real[best])


def on_holdout(
    holdout: Sequence[Prediction], threshold: float, judging: Judging
) -> tuple[Metric, Metric]:
    answered = [row for row in holdout if (row.probability or 0.0) >= threshold]
    right = [row.label == row.target for row in answered]
    if answered:
        table = make_table(answered, {"right": flags(right)})
        accuracy = _share(ACCURACY, "right", table, judging)
        if table.groups is None:
            exact = clopper_pearson(sum(right), len(right), confidence=judging.confidence)
            accuracy = replace(accuracy, interval=exact)
    else:
        accuracy = Metric.missing(ACCURACY, "no row is answered")
    is_answered = [(row.probability or 0.0) >= threshold for row in holdout]
    table = make_table(holdout, {"answered": flags(is_answered)})
    return accuracy, _share(COVERAGE, "answered", table, judging)


def _share(name: str, column: str, table: Table, judging: Judging) -> Metric:
    measures = [share_of_rows(name, column)]
    (metric,) = metrics_of(table, measures, confidence=judging.confidence, seed=judging.seed)
    return metric


def _chances(answering: Floats, hits: Floats, rows: int, rule: SelectiveRule) -> Floats:
    """Estimate for each threshold how likely the holdout shows both bounds."""
    from scipy.stats import betabinom, binom  # take time to import

    of, selective = rule.holdout_rows, rule.selective
    answered = np.maximum(1, np.rint(of * answering / rows)).astype(int)
    right = np.ceil(selective.accuracy.min * answered)
    if rule.on_interval:
        # the fewest right ones of which as many, or more, are so improbable at the bound
        right = binom.isf((1 - rule.confidence) / 2, answered, selective.accuracy.min) + 1
    wide = ThresholdRule(
        bound=selective.coverage.min, confidence=rule.confidence, on_interval=rule.on_interval
    )
    kept = least_right(of, wide)
    if kept is None:
        return np.zeros(answering.size)
    missed, left = answering - hits, rows - answering
    is_accurate = betabinom.sf(right - 1, answered, hits + 0.5, missed + 0.5)
    is_wide = betabinom.sf(kept - 1, of, answering + 0.5, left + 0.5)
    return np.asarray(is_accurate * is_wide)
