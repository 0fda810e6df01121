"""Answering only where the model is sure enough: a threshold from validation rows, judged on the holdout.

The threshold is the lowest at which the holdout will show both bounds with a chance of 95 %, by what the validation
rows say (beta-binomial, Jeffreys' prior); where none reaches that, the one of the best chance. The proof is the
holdout's alone, of which the choice knows nothing but its number of rows: of the rows that are answered a share is
right, with the interval of Clopper and Pearson (1934); where rows have groups it is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from engine.evidence import Abstention, CalibratedForm, Metric
from engine.metrics.intervals import clopper_pearson
from engine.metrics.power import ThresholdRule, least_right
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import metrics_of
from engine.metrics.table import Floats, Table, flags, make_table, share_of_rows
from engine.metrics.temperature import calibrated, fit, reliability
from engine.metrics.verdict import ACCURACY, COVERAGE
from engine.recipe.model import Acceptance, Selective
from engine.values import Value, replace

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
