"""Against what else there is: the baselines as bars, the paired comparisons, and all numbers."""

from __future__ import annotations

from engine.evidence import Comparison, Report, Scores
from engine.render.comparisons import (
    LEAD,
    claim,
    difference_of,
    is_previous,
    name_of,
    sentence,
    spread_of,
    tested,
    tests_of,
)
from engine.render.html.checks import ends
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import absent, code, heading, muted, prose, section, table
from engine.render.html.plot import above
from engine.render.html.tracks import Axis, around, bar, difference_track, end_text
from engine.render.measures import (
    bound_of,
    column,
    direction,
    interval_of,
    is_lower_better,
    is_share,
    kind_of,
    short_list,
    value_of,
)
from engine.render.quantities import DASH, count, duration
from engine.render.wording import (
    ComparedModel,
    compared_models,
    find_metric,
    main_check,
    main_metric,
    undefined,
    why_absent,
)

_TONES = {"better": "pass", "worse": "fail"}
_TICKS = 4


def baselines(report: Report) -> Markup:
    """Baselines and the tuned model, side by side on the same holdout rows."""
    models = compared_models(report)
    if not models:
        parts = [absent(why_absent(report, "baseline")), *_comparisons(report)]
        return section("baselines", "Baselines", *parts)
    lead = (
        "What the same holdout rows give without fine-tuning. A tuned model has to be worth its "
        "cost against the best of these."
    )
    parts = [_bars(report, models), *_comparisons(report), _numbers(report, models)]
    return section("baselines", "Baselines", *parts, lead=lead)


def _bars(report: Report, models: tuple[ComparedModel, ...]) -> Markup:
    metric, check = main_metric(report), main_check(report)
    limit = check.bound if check else None
    way = f" ({direction(metric)})" if is_lower_better(metric) else ""
    shown = f"{metric} on the holdout{way}"
    caption = (
        shown if limit is None else f"{shown}; the line is the bound {bound_of(metric, limit)}"
    )
    axis = _axis(models, metric, limit)
    rows = join(_bar_row(model, metric, axis, limit) for model in models)
    scale = tag("tr", tag("th"), tag("td", _scale(axis)), tag("td"), class_="scale")
    return tag("table", heading(caption), tag("tbody", rows, scale), class_="bars")


def _axis(models: tuple[ComparedModel, ...], metric: str, limit: float | None) -> Axis:
    """From 0 to 1 for shares; for all else from 0 to a round number above everything."""
    if is_share(metric):
        return Axis(0.0, 1.0)
    found = [find_metric(model.scores, metric) for model in models]
    tops = [m.interval.high if m.interval else m.value or 0.0 for m in found if m]
    return Axis(*above([*tops, limit or 0.0]))


def _bar_row(model: ComparedModel, metric: str, axis: Axis, limit: float | None) -> Markup:
    found = find_metric(model.scores, metric)
    value = found.value if found else None
    bounds = interval_of(metric, found.interval if found else None)
    told = f"{model.name}: {value_of(metric, value)} {bounds}".strip()
    drawn = bar(
        value,
        axis,
        interval=found.interval if found else None,
        bound=limit,
        kind=model.kind,
        label=told,
    )
    shown = tag("span", value_of(metric, value), class_="value")
    figure = (
        join([shown, " ", tag("span", bounds, class_="muted spread")])
        if value is not None
        else muted(undefined(found))
    )
    note = tag("span", prose(model.note), class_="note") if model.note else ""
    return tag(
        "tr",
        tag("th", model.name, note, scope="row"),
        tag("td", drawn, class_="drawn"),
        tag("td", figure, class_="got"),
        class_=model.kind,
    )


def _scale(axis: Axis) -> Markup:
    marks = (tag("span", end_text(axis.high * tick / _TICKS)) for tick in range(_TICKS + 1))
    return tag("span", *marks, class_="ends")


def _numbers(report: Report, models: tuple[ComparedModel, ...]) -> Markup:
    main = main_metric(report)
    names = short_list(kind_of(report), main, [model.scores for model in models])
    rows = []
    for model in models:
        values = [_value(model.scores, name) for name in names]
        took = duration(model.seconds) if model.seconds is not None else DASH
        passes = {None: DASH, True: "yes", False: "no"}[model.passes]
        rows.append([model.name, *values, took, passes])
    columns = ["model", *map(column, names), "time", "passes"]
    numeric = frozenset(range(1, len(columns)))
    return table("Side by side on the holdout", columns, rows, numeric=numeric)


def _value(scores: Scores, name: str) -> str:
    found = find_metric(scores, name)
    if found is None:
        return muted(DASH)
    return value_of(name, found.value) if found.value is not None else muted(undefined(found))


def _comparisons(report: Report) -> list[Markup]:
    """Paired differences on one axis a metric; nothing where nothing was compared."""
    metrics = list(dict.fromkeys(item.metric for item in report.comparisons))
    if not metrics:
        return []
    parts = [tag("h3", "How much better, row by row"), tag("p", LEAD, class_="lead")]
    for metric in metrics:
        found = [item for item in report.comparisons if item.metric == metric]
        parts.append(_forest(metric, found, _needed(report, metric)))
    return [*parts, tag("p", tests_of(report.comparisons), class_="fine")]


def _needed(report: Report, metric: str) -> float | None:
    """The gain that the gate asks for, which is drawn as a line."""
    checks = report.gate.checks if report.gate else ()
    wanted = f"over_baselines.{metric}"
    return next((check.bound for check in checks if check.name == wanted), None)


def _forest(metric: str, found: list[Comparison], needed: float | None) -> Markup:
    values = [value for item in found for value in _seen(item)]
    axis = around([*values, *([needed] if needed is not None else [])], has_zero=True)
    names = ("against", "difference", "", "p", "rows", "so")
    heads = join(tag("th", name, scope="col", role="columnheader") for name in names)
    rows = join(_forest_row(item, axis, needed) for item in found)
    line = (
        ""
        if needed is None
        else f"; the full line is the gain asked for, {bound_of(metric, needed)}"
    )
    caption = (
        f"{metric}: how much better the tuned model is; the dashed line is no difference{line}"
    )
    return tag(
        "table",
        heading(caption),
        tag("thead", tag("tr", heads, role="row"), role="rowgroup"),
        tag("tbody", rows, role="rowgroup"),
        class_="checks forest",
        role="table",
    )


def _seen(item: Comparison) -> list[float]:
    bounds = (item.interval.low, item.interval.high) if item.interval else ()
    return [value for value in (item.difference, *bounds) if value is not None]


def _forest_row(item: Comparison, axis: Axis, needed: float | None) -> Markup:
    told = claim(item)
    tone = _TONES.get(told, "inconclusive")
    drawn = difference_track(
        item.difference,
        item.interval,
        axis,
        kind=tone,
        label=sentence(item),
        bound=None if is_previous(item) else needed,
    )
    is_told = bool(item.note) and item.difference is not None
    own, _, corrected = tested(item).partition(", ")
    after = [tag("br"), muted(corrected)] if corrected else []
    value = tag("span", difference_of(item), class_="value")
    spread = tag("span", spread_of(item), class_="muted spread")
    return tag(
        "tr",
        tag(
            "th",
            code(name_of(item)),
            tag("span", prose(item.note), class_="note") if is_told else "",
            scope="row",
            role="rowheader",
        ),
        tag("td", value, " ", spread, class_="got", role="cell"),
        tag("td", tag("div", drawn, ends(axis), class_="track"), class_="drawn", role="cell"),
        tag("td", own, *after, class_="required", role="cell"),
        tag("td", count(item.n), class_="rows", role="cell"),
        tag("td", tag("span", told, class_=f"badge {tone}"), class_="status", role="cell"),
        role="row",
    )
