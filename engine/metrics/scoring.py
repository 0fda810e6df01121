"""Scores of one model on one set of rows: every metric of the task's kind, each with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.evidence import Interval, Metric, Scores
from engine.kinds import AnswerForm
from engine.metrics.intervals import wilson, wilson_f1
from engine.metrics.predictions import Judging, Prediction
from engine.recipe.metrics import FREE
from engine.recipe.model import Task

if TYPE_CHECKING:
    from engine.metrics.table import Measure, RowStatistics, Sums, Table


def score(predictions: Sequence[Prediction] | RowStatistics, judging: Judging) -> Scores:
    """Judge one model's predictions, or what is kept of them, by every metric of the task's kind.

    `confidence` is that of two-sided intervals, such as 0.95; `seed` fixes the draws behind them.
    Where a number would stand on nothing it is None with the reason.
    """
    from engine.metrics.families import classification, family_of, labels
    from engine.metrics.table import RowStatistics  # brings numpy

    task = judging.task
    family = family_of(task)
    is_kept = isinstance(predictions, RowStatistics)
    table = predictions.table if is_kept else family.tabulate(predictions, task)  # type: ignore[union-attr,arg-type]
    sums = table.sums()
    return Scores(
        rows=len(predictions),
        metrics=metrics_of(
            table, family.measures(table), confidence=judging.confidence, seed=judging.seed
        ),
        classes=labels.class_scores(sums, table.names) if table.names else (),
        confusion=classification.confusion(table) if task.spec.answer is AnswerForm.LABEL else (),
        calibration=labels.calibration(sums) if task.spec.has_labels else None,
    )


def values_of(predictions: Sequence[Prediction], task: Task) -> dict[str, float]:
    """Compute every metric of the task's kind without its interval; those that are undefined are left out."""
    from engine.metrics.families import family_of  # brings numpy

    family = family_of(task)
    table = family.tabulate(predictions, task)
    sums = table.sums()
    found = ((measure.name, *measure.of(sums)) for measure in family.measures(table))
    return {name: value for name, value, _ in found if value is not None}


def metrics_of(
    table: Table, measures: Sequence[Measure], *, confidence: float, seed: int
) -> tuple[Metric, ...]:
    from engine.metrics.resampling import draw, method, percentile_interval  # brings numpy

    sums = table.sums()
    drawn: list[Sums] = []

    def interval(measure: Measure, value: float) -> Interval | None:
        if not measure.has_interval(table):
            return None
        if table.groups is None and measure.share is not None:
            hits, trials = (float(part(sums)) for part in measure.share)
            return wilson(hits, trials, confidence=confidence)
        if table.groups is None and measure.f1 is not None:
            right, wrong = (int(part(sums)) for part in measure.f1)
            return wilson_f1(right, wrong, confidence=confidence)
        # Only where a metric has no closed form, and once for all of them: the draws are what
        # takes time.
        if not drawn:
            drawn.extend(draw(table, seed=seed))
        values = measure.drawn(drawn[0], sums)
        return percentile_interval(values, value, confidence=confidence, method=method(table))

    found = []
    for measure in measures:
        (value, reason), n = measure.of(sums), int(measure.n(sums))
        ends = None if value is None else interval(measure, value)
        found.append(Metric(name=measure.name, value=value, n=n, interval=ends, undefined=reason))
    return tuple(found)


def named_metrics(scores: Scores, *, free: Scores | None = None) -> dict[str, Metric]:
    """Index metrics by name; what only free decoding tells is taken from there where it is given.

    Constrained decoding can only answer in the task's form, so its own rate of valid output is 1
    whatever the model is worth. What a caller without a grammar gets is what free decoding shows.
    """
    metrics = {metric.name: metric for metric in scores.metrics}
    if free is not None:
        found = {metric.name: metric for metric in free.metrics}
        metrics |= {name: found[name] for name in FREE if name in found}
    return metrics


def agreement(
    first: Sequence[Prediction], second: Sequence[Prediction], *, confidence: float, seed: int = 0
) -> Metric:
    """Measure the share of rows on which two models give the same answer.

    An output that is no answer agrees only with the very same text. Undefined for kinds without answers, chat and text.
    """
    from engine.metrics.table import (
        flags,
        make_table,
        same_rows,
        share_of_rows,  # brings numpy
    )

    pairs = list(zip(first, same_rows(first, second), strict=True))
    if any(row.nats is not None for row in first):
        reason = "likelihoods have no answers to compare"
        return Metric.missing("agreement", reason, n=len(first))
    same = [
        one.label == two.label and (one.label is not None or one.text == two.text)
        for one, two in pairs
    ]
    table = make_table(first, {"same": flags(same)})
    measure = share_of_rows("agreement", "same")
    (metric,) = metrics_of(table, (measure,), confidence=confidence, seed=seed)
    return metric
