"""Scores of a classifier: accuracy, precision, recall, F1, valid output, each with an interval.

An output that is no label counts as wrong in every metric and as a prediction of no class. Values
agree with scikit-learn's at `zero_division=0`; but where a number would stand on nothing it is None
with the reason, and a gate never passes on None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.evidence import ClassScores, Metric, Scores
from engine.metrics.intervals import wilson, wilson_f1
from engine.metrics.predictions import Prediction
from engine.metrics.resampling import METHOD, draw, percentile_interval
from engine.metrics.tally import Coded, Tally, code, confusion, metric_values, tally

MACRO = ("macro_f1", "macro_precision", "macro_recall")


def score(
    predictions: Sequence[Prediction], labels: Sequence[str], *, confidence: float, seed: int
) -> Scores:
    """Judge one model's predictions: accuracy, macro averages, valid output, then class by class.

    `confidence` is that of two-sided intervals, such as 0.95; `seed` fixes the draws behind the
    intervals of macro averages. A class without rows leaves its recall and F1, and every macro
    average, undefined. A class never predicted has no precision; its F1 and its part of the macro
    averages count as 0.
    """
    coded = code(labels, predictions)
    matrix = confusion(coded)
    counts = tally(matrix)
    classes = _class_scores(labels, counts)
    right = [int(count) for count in counts.right]
    rows = len(predictions)
    return Scores(
        rows=rows,
        metrics=(
            _proportion("accuracy", sum(right), rows, confidence=confidence),
            *_macro_metrics(coded, counts, confidence=confidence, seed=seed),
            _proportion("valid_output", int(counts.valid), rows, confidence=confidence),
            *(
                metric
                for row, hits in zip(classes, right, strict=True)
                for metric in _class_metrics(row, right=hits, confidence=confidence)
            ),
        ),
        classes=classes,
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
    )


def named_metrics(scores: Scores, *, free: Scores | None = None) -> dict[str, Metric]:
    """Index metrics by name; `valid_output` is taken from the free decoding where it is given.

    Constrained decoding can only answer with labels, so its own rate of valid output is 1 whatever
    the model is worth. What a caller without a grammar gets is what free decoding shows.
    """
    metrics = {metric.name: metric for metric in scores.metrics}
    if free is not None:
        metrics["valid_output"] = free.metric("valid_output")
    return metrics


def agreement(
    first: Sequence[Prediction], second: Sequence[Prediction], *, confidence: float
) -> Metric:
    """Measure the share of rows on which two models give the same label; invalid is never same."""
    labels = {prediction.id: prediction.label for prediction in second}
    same = sum(
        prediction.label is not None and labels[prediction.id] == prediction.label
        for prediction in first
    )
    return _proportion("agreement", same, len(first), confidence=confidence)


def _proportion(name: str, successes: int, trials: int, *, confidence: float) -> Metric:
    return Metric(
        name=name,
        value=successes / trials if trials else None,
        n=trials,
        interval=wilson(successes, trials, confidence=confidence),
        undefined="" if trials else "no rows",
    )


def _macro_metrics(
    coded: Coded, counts: Tally, *, confidence: float, seed: int
) -> tuple[Metric, ...]:
    labels, rows = coded.labels, int(counts.rows)
    missing = [label for label, n in zip(labels, counts.support, strict=True) if not n]
    if missing:
        reason = f"no rows of `{missing[0]}`" if rows else "no rows"
        return tuple(Metric(name=name, value=None, n=rows, undefined=reason) for name in MACRO)
    (drawn,) = draw(coded, seed=seed)
    metrics = []
    for name in MACRO:
        value = float(metric_values(name, counts, labels=labels))
        values = metric_values(name, drawn, labels=labels)
        interval = percentile_interval(values, value, confidence=confidence, method=METHOD)
        metrics.append(Metric(name=name, value=value, n=rows, interval=interval))
    return tuple(metrics)


def _class_scores(labels: Sequence[str], counts: Tally) -> tuple[ClassScores, ...]:
    rows = []
    for place, label in enumerate(labels):
        support, predicted = int(counts.support[place]), int(counts.predicted[place])
        right = int(counts.right[place])
        rows.append(
            ClassScores(
                label=label,
                precision=right / predicted if predicted else None,
                recall=right / support if support else None,
                f1=2 * right / (predicted + support) if support else None,
                support=support,
                predicted=predicted,
            )
        )
    return tuple(rows)


def _class_metrics(row: ClassScores, *, right: int, confidence: float) -> tuple[Metric, ...]:
    no_rows = f"no rows of `{row.label}`"
    wrong = row.support + row.predicted - 2 * right
    precision = _proportion(f"precision.{row.label}", right, row.predicted, confidence=confidence)
    recall = _proportion(f"recall.{row.label}", right, row.support, confidence=confidence)
    f1 = Metric(
        name=f"f1.{row.label}",
        value=row.f1,
        n=row.support,
        interval=wilson_f1(right, wrong, confidence=confidence) if row.support else None,
        undefined="" if row.support else no_rows,
    )
    never = "" if row.predicted else f"`{row.label}` was never predicted"
    return (
        replace(precision, undefined=never),
        replace(recall, undefined=f1.undefined),
        f1,
    )
