"""Learning curves and cross-validation in words and rows, shared by every format."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import LearningCurve, Report, Scores
from engine.render.quantities import count, interval, number
from engine.render.wording import find_metric

MODELS = {"tfidf_svm": "SVM on TF-IDF", "tuned": "tuned model"}
"""As tables call them."""

TABLE_HEAD = "F1 of"


def model_name(curve: LearningCurve) -> str:
    """What a curve is of, as headings say it."""
    return MODELS.get(curve.model, curve.model)


def learning_lines(curves: Sequence[LearningCurve], *, folds: Scores | None) -> list[str]:
    """One line a curve, and one for the folds."""
    lines = [f"learning curve: {curve.message}" for curve in curves]
    return [*lines, *([folds_line(folds)] if folds else [])]


def telling_curves(report: Report) -> tuple[LearningCurve, ...]:
    """The curves that the last lines of a run name: the tuned model's, else the SVM's."""
    tuned = tuple(curve for curve in report.learning_curves if curve.model == "tuned")
    return tuned or report.learning_curves


def folds_line(folds: Scores) -> str:
    """`cross-validation: macro-F1 0.812 [0.790, 0.833] on 400 rows, each …`."""
    found = find_metric(folds, "macro_f1")
    value = number(found.value if found else None)
    bounds = interval(found.interval) if found else ""
    told = f"{value} {bounds}".rstrip()
    return (
        f"cross-validation: macro-F1 {told} on {count(folds.rows)} rows, "
        "each judged by a model that did not see it"
    )


def curve_columns(curve: LearningCurve) -> list[str]:
    """Heads of the table of a curve: the shares with the rows trained on, and the last gain."""
    shares = (f"{point.share:.0%}: {count(point.rows)} rows" for point in curve.points)
    return [TABLE_HEAD, *shares, "last gain"]


def curve_rows(curve: LearningCurve) -> list[tuple[str, list[str]]]:
    """Rows of that table by name: `macro average`, then every class in the recipe's order."""
    if not curve.points:
        return []
    labels = [row.label for row in curve.points[-1].scores.classes]
    names = [("macro average", "macro_f1"), *((label, f"f1.{label}") for label in labels)]
    return [(shown, _cells(curve, metric)) for shown, metric in names]


def _cells(curve: LearningCurve, metric: str) -> list[str]:
    found = [find_metric(point.scores, metric) for point in curve.points]
    values = [metric.value if metric else None for metric in found]
    before, after = (values[-2], values[-1]) if len(values) > 1 else (None, None)
    gain = after - before if after is not None and before is not None else None
    return [*(number(value) for value in values), number(gain, signed=True)]
