"""Learning curves and cross-validation in words and rows, shared by every format."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import LearningCurve, Report, Scores
from engine.render.measures import spoken, told, value_of
from engine.render.quantities import DASH, count
from engine.render.wording import find_metric

MODELS = {"tfidf_svm": "SVM on TF-IDF", "tuned": "tuned model"}
"""As tables call them."""

_AVERAGES = {"macro_f1": "macro average", "field_f1": "all values"}
"""What the first row is called where the others are F1 by label or field."""


def model_name(curve: LearningCurve) -> str:
    """What a curve is of, as headings say it."""
    return MODELS.get(curve.model, curve.model)


def learning_lines(
    curves: Sequence[LearningCurve], *, folds: Scores | None, metric: str
) -> list[str]:
    """One line a curve, and one for the folds."""
    lines = [f"learning curve: {curve.message}" for curve in curves]
    return [*lines, *([folds_line(folds, metric)] if folds else [])]


def telling_curves(report: Report) -> tuple[LearningCurve, ...]:
    """The curves that the last lines of a run name: the tuned model's, else the SVM's."""
    tuned = tuple(curve for curve in report.learning_curves if curve.model == "tuned")
    return tuned or report.learning_curves


def folds_line(folds: Scores, metric: str) -> str:
    """`cross-validation: macro-F1 0.812 [0.790, 0.833] on 400 rows, each …`."""
    return (
        f"cross-validation: {spoken(metric)} {told(find_metric(folds, metric))} on {count(folds.rows)} rows, "
        "each judged by a model that did not see it"
    )


def table_head(metric: str) -> str:
    """What the cells of a curve's table hold."""
    return "F1 of" if metric in _AVERAGES else "metric"


def curve_columns(curve: LearningCurve, metric: str) -> list[str]:
    """Heads of the table of a curve: the shares with the rows trained on, and the last gain."""
    shares = (f"{point.share:.0%}: {count(point.rows)} rows" for point in curve.points)
    return [table_head(metric), *shares, "last gain"]


def curve_rows(curve: LearningCurve, metric: str) -> list[tuple[str, list[str]]]:
    """Rows of that table by name: the main metric, then every class or field in its order."""
    if not curve.points:
        return []
    labels = [row.label for row in curve.points[-1].scores.classes]
    names = [(_AVERAGES.get(metric, metric), metric), *((label, f"f1.{label}") for label in labels)]
    return [(shown, _cells(curve, name)) for shown, name in names]


def _cells(curve: LearningCurve, name: str) -> list[str]:
    found = [find_metric(point.scores, name) for point in curve.points]
    values = [metric.value if metric else None for metric in found]
    before, after = (values[-2], values[-1]) if len(values) > 1 else (None, None)
    gain = after - before if after is not None and before is not None else None
    last = value_of(name, gain, signed=True) if gain is not None else DASH
    return [*(value_of(name, value) for value in values), last]
