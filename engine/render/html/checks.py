"""The gate: every check against its bound, drawn and in numbers, and what the rows could show."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import Check, Interval, Report, Verdict
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import absent, badge, code, heading, muted, prose, section
from engine.render.html.tracks import Axis, check_axis, end_text, interval_track, score_axis
from engine.render.quantities import count, p_values, percent
from engine.render.wording import (
    check_title,
    got_interval,
    got_value,
    required,
    why_absent,
)


def acceptance(report: Report) -> Markup:
    """Every check of the gate: got, interval, required; and the power of the holdout."""
    lead = (
        "The shaded stretch is what the recipe accepts, the line at its end the bound, the dot "
        "what was measured, the whisker its interval."
    )
    if report.gate is None:
        told = absent(why_absent(report, "gate"))
        return section("acceptance", "Acceptance", told, _power(report))
    parts = [
        check_table(report.gate, "Checks on the tuned model"),
        methods(report.gate.checks),
        _power(report),
    ]
    return section("acceptance", "Acceptance", *parts, lead=lead)


def _power(report: Report) -> Markup:
    """What the holdout can show, in sentences; empty where nobody asked."""
    if not report.power:
        return Markup("")
    items = [tag("li", prose(line)) for line in report.power]
    title = tag("h3", "What the holdout can show, estimated before training")
    return join([title, tag("ul", *items, class_="proof")])


def check_table(verdict: Verdict, caption: str) -> Markup:
    """The checks as a table that becomes a list of cards on a narrow page."""
    names = ("check", "got", "", "required", "rows", "answer")
    heads = join(tag("th", name, scope="col", role="columnheader") for name in names)
    axis = score_axis(verdict.checks)
    rows = join(_check_row(check, axis) for check in verdict.checks)
    return tag(
        "table",
        heading(caption),
        tag("thead", tag("tr", heads, role="row"), role="rowgroup"),
        tag("tbody", rows, role="rowgroup"),
        class_="checks",
        role="table",
    )


def _check_row(check: Check, scores: Axis) -> Markup:
    axis = check_axis(check, scores)
    track = tag("div", interval_track(check, axis), ends(axis), class_="track")
    value = tag("span", got_value(check), class_="value")
    bounds = tag("span", got_interval(check), class_="muted spread")
    note = tag("span", prose(check.note), class_="note") if check.note else ""
    return tag(
        "tr",
        tag("th", code(check_title(check.name)), note, scope="row", role="rowheader"),
        tag("td", value, " ", bounds, class_="got", role="cell"),
        tag("td", track, class_="drawn", role="cell"),
        tag("td", required(check), *_tested(check), class_="required", role="cell"),
        tag("td", count(check.n), class_="rows", role="cell"),
        tag("td", badge(check.status), class_="status", role="cell"),
        role="row",
    )


def _tested(check: Check) -> list[Markup]:
    lines = (
        p_values(check.p_value, check.p_adjusted).split(", ") if check.p_value is not None else []
    )
    return [part for told in lines for part in (tag("br"), muted(told))]


def ends(axis: Axis) -> Markup:
    """The two numbers under a track."""
    low, high = end_text(axis.low), end_text(axis.high)
    return tag("span", tag("span", low), tag("span", high), class_="ends")


def methods(checks: Sequence[Check]) -> Markup:
    """How the intervals were computed, once for all checks."""
    intervals = [check.interval for check in checks if check.interval]
    if not intervals:
        return Markup("")
    told = sorted({_method(item) for item in intervals})
    return tag("p", "Intervals: " + "; ".join(told) + ".", class_="fine")


def _method(item: Interval) -> str:
    return f"{percent(item.confidence)}, {item.method}"
