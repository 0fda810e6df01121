"""How much data: learning curves as small drawings with their tables, and the cross-validation."""

from __future__ import annotations

from engine.evidence import CurvePoint, LearningCurve, Report, Scores
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import prose, section, table
from engine.render.learning import curve_columns, curve_rows, folds_line, model_name
from engine.render.quantities import count, interval, number
from engine.render.wording import find_metric

_WIDTH, _HEIGHT = 760, 210
_LEFT, _RIGHT, _TOP, _FOOT = 40, 16, 10, 34
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
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
    parts = [_curve(curve) for curve in report.learning_curves]
    if report.folds:
        parts.append(_folds(report.folds))
    return section("learning", "How much data", *parts, lead=lead if report.learning_curves else "")


def _curve(curve: LearningCurve) -> Markup:
    told = tag("p", prose(curve.message[:1].upper() + curve.message[1:] + "."))
    head = tag("h3", f"{model_name(curve)}, judged on {curve.judged_on}")
    if not curve.points:
        return join([head, told])
    rows = [[name, *cells] for name, cells in curve_rows(curve)]
    columns = curve_columns(curve)
    numbers = table(
        f"F1 of the {model_name(curve)} by training rows",
        columns,
        rows,
        kind="tall" if len(rows) > _MANY_LABELS else "narrow",
        numeric=frozenset(range(1, len(columns))),
    )
    return join([head, told, learning_chart(curve), numbers])


def learning_chart(curve: LearningCurve) -> Markup:
    """Macro-F1 by share of the rows with the intervals as bars; the same in words as its label."""
    known = [(point, value) for point in curve.points if (value := _value(point)) is not None]
    path = "".join(
        f"{'L' if at else 'M'}{_x(point.share):.1f} {_y(value):.1f}"
        for at, (point, value) in enumerate(known)
    )
    dots = "".join(f"M{_x(point.share):.1f} {_y(value):.1f}h0.01" for point, value in known)
    return tag(
        "svg",
        *_axes(curve),
        *(_whisker(point) for point, _ in known),
        tag("path", d=path, class_="line validation"),
        tag("path", d=dots, class_="points validation"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        class_="chart",
        role="img",
        aria_label=_label(curve),
    )


def _axes(curve: LearningCurve) -> list[Markup]:
    end = _WIDTH - _RIGHT
    drawn = []
    for tick in _TICKS:
        drawn.append(tag("path", d=f"M{_LEFT} {_y(tick):.1f}H{end}", class_="grid"))
        drawn.append(tag("text", f"{tick:g}", x=_LEFT - 8, y=_y(tick) + 4, text_anchor="end"))
    drawn += [
        tag(
            "text",
            f"{point.share:.0%}",
            x=_x(point.share),
            y=_HEIGHT - _FOOT + 17,
            text_anchor="middle",
        )
        for point in curve.points
    ]
    name = tag("text", "training rows", x=(_LEFT + end) / 2, y=_HEIGHT - 2, text_anchor="middle")
    return [*drawn, name]


def _whisker(point: CurvePoint) -> Markup:
    metric = find_metric(point.scores, "macro_f1")
    if metric is None or metric.interval is None:
        return Markup("")
    low, high = _y(metric.interval.low), _y(metric.interval.high)
    return tag("path", d=f"M{_x(point.share):.1f} {low:.1f}V{high:.1f}", class_="whisker")


def _label(curve: LearningCurve) -> str:
    told = (f"{point.share:.0%} of the rows {number(_value(point))}" for point in curve.points)
    return f"Macro-F1 of the {model_name(curve)}: {', '.join(told)}"


def _value(point: CurvePoint) -> float | None:
    found = find_metric(point.scores, "macro_f1")
    return found.value if found else None


def _x(share: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share


def _y(value: float) -> float:
    bottom = _HEIGHT - _FOOT
    return bottom - (bottom - _TOP) * value


def _folds(folds: Scores) -> Markup:
    rows = [
        [row.label, number(row.f1), _spread(folds, row.label), count(row.support)]
        for row in folds.classes
    ]
    numbers = table(
        f"Every class on all {count(folds.rows)} rows",
        ["label", "F1", "interval", "rows"],
        rows,
        kind="tall" if len(rows) > _MANY_LABELS else "narrow",
        numeric=frozenset({1, 2, 3}),
    )
    line = folds_line(folds)
    told = tag("p", line[:1].upper() + line[1:] + ".")
    return join([tag("h3", "Cross-validation"), told, numbers])


def _spread(folds: Scores, label: str) -> str:
    found = find_metric(folds, f"f1.{label}")
    return interval(found.interval if found else None)
