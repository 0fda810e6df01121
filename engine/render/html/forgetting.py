"""What training cost in other things: every set of probes before and after, its drop drawn."""

from __future__ import annotations

from engine.evidence import Check, ForgettingResult, ProbeScores, Report
from engine.render.forgetting import (
    LEAD,
    cells,
    gate_check,
    is_overall,
    kind_of,
    name_of,
    rows,
    sentence,
    share,
)
from engine.render.html.checks import ends
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import badge, code, heading, muted, prose, section
from engine.render.html.tracks import Axis, around, difference_track
from engine.render.quantities import bound, count
from engine.render.wording import sentence as check_sentence


def forgetting(report: Report) -> Markup:
    """The section; empty where it was not measured."""
    found = report.forgetting
    if found is None:
        return Markup("")
    check = gate_check(report)
    parts = [_gated(check)] if check else [tag("p", "The recipe bounds no drop.", class_="fine")]
    return section("forgetting", "Forgetting", *parts, _probes(found, check), lead=LEAD)


def _gated(check: Check) -> Markup:
    told = check_sentence(check)
    return tag("p", badge(check.status), " ", prose(told), class_="gated")


def _probes(found: ForgettingResult, check: Check | None) -> Markup:
    limit = check.bound if check else None
    shown = rows(found)
    values = [value for item in shown for value in _seen(item)]
    axis = around([*values, *([limit] if limit is not None else [])], has_zero=True)
    names = ("probes", "drop", "", "before → after", "questions", "p")
    heads = join(tag("th", name, scope="col", role="columnheader") for name in names)
    line = (
        f"; the full line is the most that is accepted, {bound(limit)}" if limit is not None else ""
    )
    return tag(
        "table",
        heading(f"Share of right answers before minus after{line}"),
        tag("thead", tag("tr", heads, role="row"), role="rowgroup"),
        tag("tbody", join(_row(item, found, axis, limit) for item in shown), role="rowgroup"),
        class_="checks forest probes",
        role="table",
    )


def _seen(item: ProbeScores) -> list[float]:
    drop = item.drop
    bounds = (drop.interval.low, drop.interval.high) if drop.interval else ()
    return [value for value in (drop.value, *bounds) if value is not None]


def _row(item: ProbeScores, found: ForgettingResult, axis: Axis, limit: float | None) -> Markup:
    told = dict(
        zip(
            ("name", "kind", "n", "before", "after", "drop", "spread", "p", "shift"),
            cells(item, found),
            strict=True,
        )
    )
    decides = is_overall(item, found) or len(found.probes) == 1
    drawn = difference_track(
        item.drop.value,
        item.drop.interval,
        axis,
        kind=_tone(item, limit) if decides else "plain",
        label=sentence(item, found),
        bound=limit,
    )
    kind = "" if is_overall(item, found) else f"{kind_of(item)}, "
    note = f"{kind}log-probability {told['shift']} nats a byte"
    value = tag("span", told["drop"], class_="value")
    name = tag("strong", name_of(item, found)) if is_overall(item, found) else code(item.name)
    return tag(
        "tr",
        tag("th", name, tag("span", note, class_="note"), scope="row", role="rowheader"),
        tag(
            "td",
            value,
            " ",
            tag("span", told["spread"], class_="muted spread"),
            class_="got",
            role="cell",
        ),
        tag("td", tag("div", drawn, ends(axis), class_="track"), class_="drawn", role="cell"),
        tag("td", f"{share(item.before)} → {share(item.after)}", class_="required", role="cell"),
        tag("td", count(item.n), class_="rows", role="cell"),
        tag("td", muted(told["p"]), class_="status", role="cell"),
        role="row",
    )


def _tone(item: ProbeScores, limit: float | None) -> str:
    """Green where what the gate bounds keeps the bound, red where it does not, neither without a bound."""
    if limit is None or item.drop.value is None:
        return "plain"
    return "pass" if item.drop.value <= limit else "fail"
