"""How much data: learning curves, and the cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import CurvePoint, Fit, LearningCurve, Report, Scores
from engine.render import blocks
from engine.render.axes import nice_range
from engine.render.labels import class_words, estimate, find_metric, has_classes, main_metric
from engine.render.metric_format import is_share, metric_text, prose_name, value_of
from engine.render.number_format import DASH, count
from engine.render.report.sections import report_section

_MODELS = {"tfidf_svm": "SVM on TF-IDF", "tuned": "tuned model"}
_AVERAGES = {"macro_f1": "macro average", "field_f1": "all values"}
"""What the first row is called where the others are F1 by label or field."""
_MANY_ROWS = 12
_LEAD = (
    "The same model trained on parts of the rows and judged on the same other rows, never on "
    "the holdout. A curve that still rises says that more examples would pay."
)


@report_section("learning", at=120)
def learning(report: Report) -> blocks.Section | None:
    """Nothing without a curve and without folds."""
    curves, folds, metric = report.learning_curves, report.folds, main_metric(report)
    if not (curves or folds):
        return None
    parts = [block for curve in curves for block in _curve(curve, metric)]
    parts += _folds(report, folds) if folds else []
    # the tuned model's curve says more of the recipe than the SVM's
    chosen = [curve for curve in curves if curve.model == "tuned"] or curves
    lines = tuple(learning_lines(chosen, folds=folds, metric=metric))
    lead, shown = _LEAD if curves else "", tuple(parts)
    # A model that has not learned the rows it has is no reason to ask for more of them.
    is_underfitted = report.diagnosis is not None and report.diagnosis.fit is Fit.UNDERFITTED
    closing = () if is_underfitted else lines
    return blocks.Section(
        title="How much data", lead=lead, blocks=shown, card=lines, closing=closing
    )


def learning_lines(
    curves: Sequence[LearningCurve], *, folds: Scores | None, metric: str
) -> list[str]:
    """One line a curve, and one for the folds."""
    lines = [f"learning curve: {curve.message}" for curve in curves]
    return lines + ([_folds_line(folds, metric)] if folds else [])


def _folds_line(folds: Scores, metric: str) -> str:
    value = metric_text(find_metric(folds, metric))
    return (
        f"cross-validation: {prose_name(metric)} {value} on {count(folds.rows)} rows, "
        "each judged by a model that did not see it"
    )


def _curve(curve: LearningCurve, metric: str) -> list[blocks.Block]:
    model = _MODELS.get(curve.model, curve.model)
    message = blocks.sentence(f"{curve.message}.")
    head = blocks.Heading(f"{model}, judged on {curve.judged_on}")
    if not curve.points:
        return [head, message]
    names = (blocks.Code(item.label) for item in curve.points[-1].scores.classes)
    rows = [[_AVERAGES.get(metric, metric), *_values(curve, metric)]]
    rows += [[name, *_values(curve, f"f1.{name}")] for name in names]
    first = "F1 of" if metric in _AVERAGES else "metric"
    shares = (f"{point.share:.0%}: {count(point.rows)} rows" for point in curve.points)
    caption = f"{first.removesuffix(' of')} of the {model} by training rows"
    layout = "tall" if len(rows) > _MANY_ROWS else "narrow"
    columns = blocks.columns_of(first, *blocks.numbers(shares), ">last gain")
    numbers = blocks.table(caption, columns, rows, layout)
    return [head, message, _chart(curve, metric, model), numbers]


def _values(curve: LearningCurve, name: str) -> list[str]:
    """One metric at every share, and what the last step gained."""
    values = [_value(point, name) for point in curve.points]
    before, after = values[-2:] if len(values) > 1 else (None, None)
    last = DASH
    if after is not None and before is not None:
        last = value_of(name, after - before, signed=True)
    return [*(value_of(name, value) for value in values), last]


def _chart(curve: LearningCurve, metric: str, model: str) -> blocks.LineChart:
    """The metric by share of the rows with its intervals."""
    line = blocks.measured_curve((p.share, find_metric(p.scores, metric)) for p in curve.points)
    values = ((f"{p.share:.0%}", value_of(metric, _value(p, metric))) for p in curve.points)
    texts = (f"{share} of the rows {value}" for share, value in values)
    return blocks.LineChart(
        label=f"{metric} of the {model}: {', '.join(texts)}",
        curves=(line,),
        end=1.0,
        span=(0.0, 1.0) if is_share(metric) else nice_range(line.heights),
        ticks=tuple((point.share, f"{point.share:.0%}") for point in curve.points),
        across="training rows",
    )


def _value(point: CurvePoint, name: str) -> float | None:
    metric = find_metric(point.scores, name)
    return metric.value if metric else None


def _folds(report: Report, folds: Scores) -> list[blocks.Block]:
    line = blocks.capital(_folds_line(folds, main_metric(report)) + ".")
    parts: list[blocks.Block] = [blocks.Heading("Cross-validation"), blocks.Paragraph(line)]
    if not has_classes(report):
        return parts
    words = class_words(report)
    found = ((row, find_metric(folds, f"f1.{row.label}")) for row in folds.classes)
    rows = [(blocks.Code(row.label), estimate(f1), count(row.support)) for row, f1 in found]
    columns = f"{words.singular} | >F1 | >{words.support}"
    layout = "tall" if len(rows) > _MANY_ROWS else "narrow"
    caption = f"Every {words.singular} on all {count(folds.rows)} rows"
    return [*parts, blocks.table(caption, columns, rows, layout)]
