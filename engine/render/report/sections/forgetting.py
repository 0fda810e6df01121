"""What training cost in other things: every set of probes before and after, its drop drawn."""

from __future__ import annotations

from engine.evidence import (
    Check,
    ForgettingResult,
    GeneralTextScores,
    Metric,
    ProbeScores,
    Report,
)
from engine.render import blocks
from engine.render.axes import around
from engine.render.labels import check_sentence, checks_of, is_open, undefined
from engine.render.number_format import DASH, amount, count, interval, number, p_value, threshold
from engine.render.report.sections import report_section

_LEAD = (
    "The same questions, which have nothing to do with the task, before and after training. A "
    "positive drop is a loss. Shift: how much likelier the right answer became, in nats a byte."
)
TEXT = "forgetting.text"
"""The check of general text; the other one is of probes."""
_KINDS = {"multiple_choice": "multiple choice", "minimal_pairs": "minimal pairs"}
_COLUMNS = "probes | drop:got | :drawn | before → after:required | questions:rows | p:status"


@report_section("forgetting", at=100)
def forgetting(report: Report) -> blocks.Section | None:
    """Nothing where it was not measured."""
    result = report.forgetting
    if result is None:
        return None
    checks = [check for check in checks_of(report.gate) if check.kind == "forgetting"]
    check = next((one for one in checks if one.name != TEXT), None)
    bounded = next((one for one in checks if one.name == TEXT), None)
    gated: blocks.Cell = "The recipe sets no limit to the drop."
    if check:
        gated = (blocks.status_badge(check.status), " ", blocks.Prose(check_sentence(check)))
    most = worst(result) if check and is_open(check) and report.outcome != "accepted" else None
    return blocks.Section(
        title="Forgetting",
        lead=_LEAD,
        blocks=(
            blocks.Paragraph(gated, "gated" if check else "fine"),
            _probes(result, check),
            *(_text(result.text, bounded) if result.text else ()),
        ),
        card=(
            f"forgetting, {probe_line(result.overall, result)}",
            *([f"forgetting, {text_line(result.text)}"] if result.text else []),
        ),
        closing=(f"most was lost on {probe_line(most, result)}",) if most else (),
    )


def text_line(text: GeneralTextScores) -> str:
    """How well general text is predicted before and after, in one line."""
    whose = "built-in sentences" if text.builtin else "general text"
    change = f"{_share(text.before)} bits a byte before, {_share(text.after)} after"
    rise = (
        f"rise {number(text.rise.value, signed=True)} {interval(text.rise.interval, signed=True)}"
    )
    return f"{whose}: {change}, {rise} on {count(text.documents)} documents"


def _text(text: GeneralTextScores, check: Check | None) -> tuple[blocks.Block, ...]:
    """The rise of general text, what it is judged by, and what of the text was left out."""
    facts: list[tuple[str, blocks.Cell]] = [
        ("text", "built-in sentences" if text.builtin else "named by the recipe"),
        ("documents", f"{count(text.documents)}, {count(text.bytes)} bytes"),
        ("bits a byte", f"{_share(text.before)} → {_share(text.after)}"),
        (
            "rise",
            blocks.Estimate(
                number(text.rise.value, signed=True), interval(text.rise.interval, signed=True)
            ),
        ),
        ("p", p_value(text.p_value) if text.p_value is not None else DASH),
    ]
    if text.left_out:
        facts.append(("left out", f"{count(text.left_out)} documents near text that is replayed"))
    gated: blocks.Cell = "The recipe sets no limit to the rise."
    if check:
        gated = (blocks.status_badge(check.status), " ", blocks.Prose(check_sentence(check)))
    return blocks.Paragraph(gated, "gated" if check else "fine"), blocks.Facts(tuple(facts))


def worst(result: ForgettingResult) -> ProbeScores | None:
    """The set that lost most; None where there is only one."""
    known = [item for item in result.probes if item.drop.value is not None]
    return max(known, key=lambda item: item.drop.value or 0.0) if len(known) > 1 else None


def probe_line(item: ProbeScores, result: ForgettingResult) -> str:
    """One set in one line."""
    change = f"{_share(item.before)} before, {_share(item.after)} after"
    return f"{_name(item, result)}: {change}, drop {_drop(item)} on {count(item.n)} questions"


def _probes(result: ForgettingResult, check: Check | None) -> blocks.Table:
    """Every set of probes, and all together last where there are several."""
    items = [*result.probes, result.overall] if len(result.probes) != 1 else [*result.probes]
    limit = check.bound if check else None
    drops = ((item.drop.value, item.drop.interval) for item in items)
    axis = around(drops, limit, has_zero=True)
    rows = []
    for item in items:
        is_overall = item is result.overall
        # The recipe limits the drop of all probes together.
        is_gated = is_overall or len(result.probes) == 1
        track = blocks.Track(
            label=probe_line(item, result),
            axis=axis,
            value=item.drop.value,
            interval=item.drop.interval,
            threshold=limit,
            zero="zero",
            tone=check.status.value if check and is_gated else "plain",
        )
        cells: tuple[blocks.Cell, ...] = (
            blocks.Strong(_name(item, result)) if is_overall else blocks.Code(item.name),
            _drop(item),
            track,
            f"{_share(item.before)} → {_share(item.after)}",
            count(item.n),
            blocks.Muted(p_value(item.p_value) if item.p_value is not None else DASH),
        )
        kind = "" if is_overall else f"{_KINDS.get(item.kind, item.kind) or DASH}, "
        shift = amount(item.shift, decimals=3, signed=True) if item.shift is not None else DASH
        rows.append(blocks.Row(cells=cells, note=f"{kind}log-probability {shift} nats a byte"))
    line = "the full line is the most that is accepted"
    legend = "" if limit is None else f"{line}, {threshold(limit)}"
    caption = "Share of right answers before minus after"
    return blocks.table(caption, _COLUMNS, rows, "cards", legend=legend)


def _name(item: ProbeScores, result: ForgettingResult) -> str:
    return "all probes" if item is result.overall else item.name


def _drop(item: ProbeScores) -> blocks.Estimate:
    ends = interval(item.drop.interval, signed=True)
    return blocks.Estimate(number(item.drop.value, signed=True), ends)


def _share(metric: Metric) -> str:
    """The share of questions answered right, or why there is none."""
    return undefined(metric) if metric.value is None else number(metric.value)
