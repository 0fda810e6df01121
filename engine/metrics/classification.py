"""Scores of a classifier: accuracy, precision, recall, F1, valid output, each with an interval.

An output that is no label counts as wrong in every metric and as a prediction of no class. Values
agree with scikit-learn's at `zero_division=0`; but where a number would stand on nothing it is None
with the reason, and a gate never passes on None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from engine.evidence import ClassScores, Metric, Scores
from engine.metrics.intervals import wilson, wilson_f1
from engine.metrics.predictions import Prediction

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
    matrix = _confusion(predictions, labels)
    right = [row[place] for place, row in enumerate(matrix)]
    classes = tuple(_class_scores(labels, matrix))
    rows = len(predictions)
    valid = rows - sum(row[-1] for row in matrix)
    macro = _macro_metrics(classes, predictions, confidence=confidence, seed=seed)
    return Scores(
        rows=rows,
        metrics=(
            _proportion("accuracy", sum(right), rows, confidence=confidence),
            *macro,
            _proportion("valid_output", valid, rows, confidence=confidence),
            *(
                metric
                for row, hits in zip(classes, right, strict=True)
                for metric in _class_metrics(row, right=hits, confidence=confidence)
            ),
        ),
        classes=classes,
        confusion=tuple(tuple(row) for row in matrix),
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


def _confusion(predictions: Sequence[Prediction], labels: Sequence[str]) -> list[list[int]]:
    """Count targets by outputs, in label order; the last column is output that is no label."""
    number: dict[str | None, int] = {label: place for place, label in enumerate(labels)}
    matrix = [[0] * (len(labels) + 1) for _ in labels]
    for prediction in predictions:
        matrix[number[prediction.target]][number.get(prediction.label, len(labels))] += 1
    return matrix


def _macro_metrics(
    classes: Sequence[ClassScores],
    predictions: Sequence[Prediction],
    *,
    confidence: float,
    seed: int,
) -> tuple[Metric, ...]:
    rows = len(predictions)
    missing = [row.label for row in classes if not row.support]
    if missing:
        reason = f"no rows of `{missing[0]}`" if rows else "no rows"
        return tuple(Metric(name=name, value=None, n=rows, undefined=reason) for name in MACRO)

    from engine.metrics.resampling import macro_intervals  # noqa: PLC0415 - brings numpy

    values = {
        "macro_f1": fmean(row.f1 or 0.0 for row in classes),
        "macro_precision": fmean(row.precision or 0.0 for row in classes),
        "macro_recall": fmean(row.recall or 0.0 for row in classes),
    }
    labels = [row.label for row in classes]
    intervals = macro_intervals(
        values, predictions, labels=labels, confidence=confidence, seed=seed
    )
    return tuple(
        Metric(name=name, value=values[name], n=rows, interval=intervals[name]) for name in MACRO
    )


def _class_scores(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> Iterator[ClassScores]:
    for place, label in enumerate(labels):
        right, support = matrix[place][place], sum(matrix[place])
        predicted = sum(row[place] for row in matrix)
        yield ClassScores(
            label=label,
            precision=right / predicted if predicted else None,
            recall=right / support if support else None,
            f1=2 * right / (predicted + support) if support else None,
            support=support,
            predicted=predicted,
        )


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
