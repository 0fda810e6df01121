"""How much data: learning curves as small drawings with their tables, and the cross-validation."""

from __future__ import annotations

from engine.evidence import CurvePoint, LearningCurve, Report, Scores
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import prose, section, table
from engine.render.html.plot import Plot, nice_range
from engine.render.learning import curve_columns, curve_rows, folds_line, model_name
from engine.render.measures import interval_of, is_share, value_of
from engine.render.quantities import count, number
from engine.render.wording import class_words, find_metric, has_classes, main_metric

_MANY_LABELS = 12


def has_learning(report: Report) -> bool:
    """Whether there is anything to show."""
    return bool(report.learning_curves or report.folds)


def learning(report: Report) -> Markup:
    """The section; empty without a curve and without folds."""
    if not has_learning(report):
        return Markup("")
    lead = (
        "The same model trained on parts of the rows and judged on the same other rows, never on "
        "the holdout. A curve that still rises says that more examples would pay."
    )
    metric = main_metric(report)
    parts = [_curve(curve, metric) for curve in report.learning_curves]
    if report.folds:
        parts.append(_folds(report, report.folds))
    return section("learning", "How much data", *parts, lead=lead if report.learning_curves else "")


def _curve(curve: LearningCurve, metric: str) -> Markup:
    told = tag("p", prose(curve.message[:1].upper() + curve.message[1:] + "."))
    head = tag("h3", f"{model_name(curve)}, judged on {curve.judged_on}")
    if not curve.points:
        return join([head, told])
    rows = [[name, *cells] for name, cells in curve_rows(curve, metric)]
    columns = curve_columns(curve, metric)
    numbers = table(
        f"{columns[0].removesuffix(' of')} of the {model_name(curve)} by training rows",
        columns,
        rows,
        kind="tall" if len(rows) > _MANY_LABELS else "narrow",
        numeric=frozenset(range(1, len(columns))),
    )
    wide = tag("div", learning_chart(curve, metric, width=760, height=210), class_="wide")
    small = tag("div", learning_chart(curve, metric, width=350, height=210), class_="small")
    return join([head, told, tag("figure", wide, small), numbers])


def learning_chart(curve: LearningCurve, metric: str, *, width: int, height: int) -> Markup:
    """The main metric by share of the rows with its intervals; the same in words as its label."""
    known = [
        (point, value) for point in curve.points if (value := _value(point, metric)) is not None
    ]
    plot = Plot(width, height, end=1.0, span=_span(known, metric))
    line = [(point.share, value) for point, value in known]
    return tag(
        "svg",
        *plot.grid(),
        *plot.below(
            [(point.share, f"{point.share:.0%}") for point in curve.points], "training rows"
        ),
        *(_whisker(point, metric, plot) for point, _ in known),
        tag("path", d=plot.path(line), class_="line validation"),
        tag("path", d=plot.dots(line), class_="points validation"),
        viewBox=f"0 0 {width} {height}",
        class_="chart",
        role="img",
        aria_label=_label(curve, metric),
    )


def _span(known: list[tuple[CurvePoint, float]], metric: str) -> tuple[float, float]:
    if is_share(metric):
        return 0.0, 1.0
    found = [find_metric(point.scores, metric) for point, _ in known]
    bounds = [m.interval for m in found if m and m.interval]
    return nice_range(
        [*(value for _, value in known), *(b.low for b in bounds), *(b.high for b in bounds)]
    )


def _whisker(point: CurvePoint, metric: str, plot: Plot) -> Markup:
    found = find_metric(point.scores, metric)
    if found is None or found.interval is None:
        return Markup("")
    return plot.whisker(point.share, found.interval.low, found.interval.high)


def _label(curve: LearningCurve, metric: str) -> str:
    told = (
        f"{point.share:.0%} of the rows {value_of(metric, _value(point, metric))}"
        for point in curve.points
    )
    return f"{metric} of the {model_name(curve)}: {', '.join(told)}"


def _value(point: CurvePoint, metric: str) -> float | None:
    found = find_metric(point.scores, metric)
    return found.value if found else None


def _folds(report: Report, folds: Scores) -> Markup:
    line = folds_line(folds, main_metric(report))
    told = tag("p", line[:1].upper() + line[1:] + ".")
    title = tag("h3", "Cross-validation")
    if not has_classes(report):
        return join([title, told])
    words = class_words(report)
    rows = [
        [row.label, number(row.f1), _spread(folds, row.label), count(row.support)]
        for row in folds.classes
    ]
    numbers = table(
        f"Every {words.one} on all {count(folds.rows)} rows",
        [words.one, "F1", "interval", words.support],
        rows,
        kind="tall" if len(rows) > _MANY_LABELS else "narrow",
        numeric=frozenset({1, 2, 3}),
    )
    return join([title, told, numbers])


def _spread(folds: Scores, label: str) -> str:
    name = f"f1.{label}"
    found = find_metric(folds, name)
    return interval_of(name, found.interval if found else None)
