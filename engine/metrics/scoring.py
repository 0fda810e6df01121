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
    """Compute every metric of the task's kind, with its interval, of one model's predictions.

    A number without rows is None, with the reason.
    """
    from engine.metrics.families import classification, family_of, labels
    from engine.metrics.table import RowStatistics  # brings numpy

    task = judging.task
    family, rows = family_of(task), predictions
    table = rows.table if isinstance(rows, RowStatistics) else family.tabulate(rows, task)
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
    """Compute every metric of the task's kind without its interval, except undefined ones."""
    from engine.metrics.families import family_of  # brings numpy

    family = family_of(task)
    table = family.tabulate(predictions, task)
    sums = table.sums()
    values = {measure.name: measure.of(sums)[0] for measure in family.measures(table)}
    return {name: value for name, value in values.items() if value is not None}


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
        # The draws take the time: they are made once, and only for metrics without a closed form.
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
    """Index metrics by name, with those of `FREE` taken from free decoding where it was measured.

    Constrained decoding only answers in the task's form, so its rate of valid output is 1 for every model. Users
    without a grammar get what free decoding shows.
    """
    freely = [] if free is None else [metric for metric in free.metrics if metric.name in FREE]
    return {metric.name: metric for metric in (*scores.metrics, *freely)}


def agreement(
    first: Sequence[Prediction], second: Sequence[Prediction], *, confidence: float, seed: int = 0
) -> Metric:
    """Measure the share of rows on which two models give the same answer.

    An output that is no answer agrees only with the very same text. Undefined for kinds without answers, chat and text.
    """
    from engine.metrics.table import flags, make_table, same_rows, share_of_rows  # brings numpy

    pairs = list(zip(first, same_rows(first, second), strict=True))
    if any(row.nats is not None for row in first):
        reason = "likelihoods have no answers to compare"
        return Metric.missing("agreement", reason, n=len(first))
    same = [
        one.label == two.label and (one.label is not None or one.text == two.text)
        for one, two in pairs
    ]
    table = make_table(first, {"same": flags(same)})
    measures = [share_of_rows("agreement", "same")]
    return metrics_of(table, measures, confidence=confidence, seed=seed)[0]
