"""Calibrated probabilities, and the threshold below which a model gives no answer.

A temperature is fitted on validation rows, and the fit of probabilities to the holdout is shown before and after. The
temperature maximises the likelihood of which answers are right, under a normal prior of its logarithm (mean 0, standard
deviation 1), which keeps it finite where every answer is right (docs/decisions/0017). Bins have equally many rows here
(Nixon et al. 2019), so that the sure answers do not share one. `ece_less_chance` is less the mean error that chance
adds for few rows (Kumar et al. 2019, section 5).

The threshold is the lowest with a chance of 95 % that the holdout shows both bounds, estimated from the validation rows
(beta-binomial, Jeffreys' prior); where none reaches that, the one with the best chance. The choice knows only the
number of holdout rows. The proof is the accuracy on the holdout rows that are answered, with the interval of Clopper
and Pearson (1934), or resampled where rows have groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import compress
from typing import Any, Final

import numpy as np

from engine.evidence import Abstention, CalibratedForm, Metric
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
    flags,
    group_numbers,
    make_table,
    ratio,
    share_of_rows,
)
from engine.metrics.verdict import ACCURACY, COVERAGE
from engine.recipe.methods import FEWEST_TO_CALIBRATE
from engine.recipe.model import Acceptance, Selective
from engine.runtime.scoring.label_search import SMALLEST, tempered
from engine.values import replace

Part = Callable[[Sums, str], Floats]
BINS: Final = 15
FEWEST_IN_BIN: Final = 20
"""Least holdout rows in a bin; with fewer than 15 times as many there are fewer bins."""
_WIDEST: Final = 4.0
"""Bound of the logarithm of a temperature, in both directions."""


def fit(validation: Sequence[Prediction], labels: Sequence[str], *, form: str) -> CalibratedForm:
    """Fit a temperature on the answers to validation rows, at least `FEWEST_TO_CALIBRATE`."""
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

    best = minimize_scalar(loss, bounds=(-_WIDEST, _WIDEST), method="bounded").x
    return CalibratedForm(form=form, fitted_rows=len(rows), temperature=float(np.exp(best)))


def calibrated(predictions: Sequence[Prediction], temperature: float | None) -> list[Prediction]:
    """Return predictions with the probabilities at a temperature; unchanged for None."""
    if temperature is None:
        return [*predictions]
    rows = []
    for row in predictions:
        # the chosen label is the most probable one at every temperature
        shares = tempered(row.probabilities, temperature) if row.probabilities else ()
        rows.append(replace(row, probabilities=shares, probability=max(shares)) if shares else row)
    return rows


def reliability(
    made: CalibratedForm, holdout: Sequence[Prediction], judging: Judging
) -> CalibratedForm:
    """Measure probabilities on the holdout as the model gives them, and at the temperature."""
    if not holdout or not all(row.probabilities for row in holdout):
        return replace(made, reason=made.reason or "answers to the holdout have no probabilities")
    bins = max(1, min(BINS, len(holdout) // FEWEST_IN_BIN))
    sides = {"before": holdout}
    values = {"before": lambda part, sums: part(sums, "before")}
    if made.temperature is not None:
        sides["after"] = calibrated(holdout, made.temperature)
        values["after"] = lambda part, sums: part(sums, "after")
        values["change"] = lambda part, sums: part(sums, "after") - part(sums, "before")
    columns, ends = dict[str, Column](), dict[str, dict[int, tuple[float, float]]]()
    one, targets = np.ones(len(holdout)), _targets(holdout, judging.task.labels)
    for side, rows in sides.items():
        shares = np.array([row.probabilities for row in rows], dtype=float)
        of_target = shares[np.arange(len(rows)), targets]
        nll = -np.log(np.maximum(of_target, SMALLEST))
        brier = (shares**2).sum(axis=1) + 1 - 2 * of_target
        # the added right row, and the wrong one, have a probability of 1
        columns[f"nll.{side}"] = Column(nll, 0 * one, one * np.log(len(judging.task.labels)))
        columns[f"brier.{side}"] = Column(brier, 0 * one, 2 * one)
        right = np.array([row.label == row.target for row in rows], dtype=bool)
        confidence = np.array([row.probability or 0.0 for row in rows])
        # equally many rows in each bin, but equal probabilities in one
        order = np.sort(confidence)
        edges = order[[round(place * order.size / bins) for place in range(1, bins)]]
        places = np.searchsorted(edges, confidence, side="right")
        columns |= binned(confidence, right, places, bins, f".{side}")
        in_bin = {place: confidence[places == place] for place in range(bins)}
        ends[side] = {
            place: (part.min(), part.max()) for place, part in in_bin.items() if part.size
        }
    table = make_table(holdout, columns)
    sums = table.sums()
    results: dict[str, Any] = {
        f"bins_{side}": bins_of(sums, own, f".{side}") for side, own in ends.items()
    }
    for name, value in values.items():
        measures = [Measure(name=of, value=partial(value, part)) for of, part in _PARTS.items()]
        results[name] = metrics_of(
            table, measures, confidence=judging.confidence, seed=judging.seed
        )
    return replace(made, **results)


def _targets(rows: Sequence[Prediction], labels: Sequence[str]) -> Floats:
    place = {label: number for number, label in enumerate(labels)}
    return np.array([place[row.target] for row in rows], dtype=np.intp)


def _less_chance(sums: Sums, side: str) -> Floats:
    """Return the calibration error less the mean by which it would rise if each bin were drawn again.

    The distance in a bin drawn again is that of a normal number from 0, whose mean is known (a folded normal).
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


GOOD_CHANCE: Final = 0.95
POOR_CHANCE: Final = 0.5
TIMES: Final = (4, 16)
"""Multiples of the holdout rows to plan for, where the rows themselves give at most a poor chance."""


def abstention(
    validation: Sequence[Prediction],
    holdout: Sequence[Prediction],
    acceptance: Acceptance,
    judging: Judging,
) -> Abstention | None:
    """Choose a threshold on calibrated answers to validation rows, and measure it on the holdout; None without rows."""
    rows = [row for row in validation if row.probability is not None]
    if acceptance.selective is None or not rows or not holdout:
        return None
    confidence = np.array([row.probability for row in rows], dtype=float)
    right = np.array([row.label == row.target for row in rows], dtype=float)
    threshold, chance = choose_threshold(
        confidence, right, acceptance.selective, acceptance, rows=len(holdout)
    )
    answered = confidence >= threshold
    accuracy, coverage = on_holdout(holdout, threshold, judging)
    out_of_scope, label = None, judging.task.out_of_scope
    if label and (outside := [row for row in holdout if row.target == label]):
        held = [row.label == label or (row.probability or 0.0) < threshold for row in outside]
        out_of_scope = _share("out_of_scope", outside, held, judging)
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
    """Fit a temperature on answers to validation rows, measure it on the holdout, and choose a threshold for bounds."""
    fitted = fit(validation, judging.task.labels, form=form)
    made = reliability(fitted, holdout, judging)
    chosen_on, judged_on = (calibrated(rows, fitted.temperature) for rows in (validation, holdout))
    return replace(made, abstention=abstention(chosen_on, judged_on, acceptance, judging))


def choose_threshold(
    confidence: Floats, right: Floats, selective: Selective, acceptance: Acceptance, *, rows: int
) -> tuple[float, float]:
    """Return a threshold, and the chance that a holdout of so many rows shows both bounds with it.

    `confidence` and `right` are of at least one validation row, shape (rows,).
    """
    count, order = confidence.size, np.argsort(-confidence, kind="stable")
    sure, hits = confidence[order], np.cumsum(right[order])
    # rows of one probability are answered together
    ends = np.flatnonzero(np.append(sure[:-1] != sure[1:], True))
    following = np.append(sure, 0.0)[ends + 1]
    # between two rows, so that a rounding of the last digit moves no row; 0 answers every row
    thresholds = np.where(ends + 1 == count, 0.0, (sure[ends] + following) / 2)
    hits, answered = hits[ends], ends + 1
    chances_of = partial(_chances, answered, hits, count, selective, acceptance)
    real = chances = chances_of(rows)
    for times in TIMES:
        if chances.max() >= POOR_CHANCE:
            break
        chances = chances_of(times * rows)
    accurate = hits >= selective.accuracy.min * answered
    # `lexsort` sorts by its last key first: a good chance, else the best, then enough right rows, then the most rows
    best = np.lexsort((answered, accurate, np.minimum(chances, GOOD_CHANCE).round(3)))[-1]
    return float(thresholds[best]), float(real[best])


def on_holdout(
    holdout: Sequence[Prediction], threshold: float, judging: Judging
) -> tuple[Metric, Metric]:
    is_answered = [(row.probability or 0.0) >= threshold for row in holdout]
    coverage = _share(COVERAGE, holdout, is_answered, judging)
    answered = list(compress(holdout, is_answered))
    if not answered:
        return Metric.missing(ACCURACY, "no row is answered"), coverage
    right = [row.label == row.target for row in answered]
    accuracy = _share(ACCURACY, answered, right, judging)
    if group_numbers([row.group for row in answered]) is None:
        exact = clopper_pearson(sum(right), len(right), confidence=judging.confidence)
        accuracy = replace(accuracy, interval=exact)
    return accuracy, coverage


def _share(name: str, rows: Sequence[Prediction], hits: Sequence[bool], judging: Judging) -> Metric:
    table, measures = make_table(rows, {"hits": flags(hits)}), [share_of_rows(name, "hits")]
    return metrics_of(table, measures, confidence=judging.confidence, seed=judging.seed)[0]


def _chances(
    answering: Floats,
    hits: Floats,
    rows: int,
    selective: Selective,
    acceptance: Acceptance,
    holdout_rows: int,
) -> Floats:
    """Estimate for each threshold the chance that the holdout shows both bounds."""
    from scipy.stats import betabinom, binom  # take time to import

    is_on_interval = acceptance.decide_on == "lower_bound"
    answered = np.maximum(1, np.rint(holdout_rows * answering / rows)).astype(int)
    right = np.ceil(selective.accuracy.min * answered)
    if is_on_interval:
        # the fewest right rows that are so improbable at the bound
        right = binom.isf((1 - acceptance.confidence) / 2, answered, selective.accuracy.min) + 1
    rule = ThresholdRule(
        bound=selective.coverage.min, confidence=acceptance.confidence, on_interval=is_on_interval
    )
    kept = least_right(holdout_rows, rule)
    if kept is None:
        return np.zeros(answering.size)
    missed, left = answering - hits, rows - answering
    is_accurate = betabinom.sf(right - 1, answered, hits + 0.5, missed + 0.5)
    is_wide = betabinom.sf(kept - 1, holdout_rows, answering + 0.5, left + 0.5)
    return np.asarray(is_accurate * is_wide)
