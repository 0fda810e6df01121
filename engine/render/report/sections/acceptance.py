"""The gate: every check against its threshold, drawn and in numbers, and what the rows can show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.evidence import (
    Check,
    DriftScore,
    ForgettingResult,
    GeneralTextScores,
    Metric,
    ProbeScores,
    Report,
    Verdict,
)
from engine.evidence.training import ANSWER_LENGTH, CHOSEN_LOG_PROBABILITY
from engine.render import blocks
from engine.render.blocks import around, numbers_of
from engine.render.labels import (
    absent,
    check_sentence,
    check_title,
    checks_of,
    explanation,
    got_interval,
    got_value,
    is_difference,
    is_open,
    required,
    undefined,
)
from engine.render.number_format import (
    DASH,
    amount,
    count,
    interval,
    is_share,
    number,
    p_value,
    p_values,
    percent,
    threshold,
)
from engine.render.report.sections import report_section

_DRIFT_LEAD = (
    "Both models on the same holdout rows. Training on preferences can make the chosen answers less likely too, as "
    "long as the rejected ones fall further, and answers longer."
)
_DRIFT_COLUMNS = "what | change:got | before → after:required | rows | gate:status"
_NAMES = {
    CHOSEN_LOG_PROBABILITY: ("log-probability of chosen answers", "nats a token, drop"),
    ANSWER_LENGTH: ("length of the model's own answers", "tokens an answer, ratio"),
}


@report_section("drift", at=102)
def drift(report: Report) -> blocks.Section | None:
    if report.drift is None:
        return None
    checks = {check.label: check for check in checks_of(report.gate) if check.kind == "drift"}
    rows = []
    for score in report.drift.scores:
        name, unit = _NAMES.get(score.name, (score.name, ""))
        check = checks.get(score.name)
        cells: tuple[blocks.Cell, ...] = (
            blocks.Strong(name),
            _change(score),
            f"{number(score.before)} → {number(score.after)}",
            count(score.change.n),
            blocks.status_badge(check.status) if check else "",
        )
        rows.append(blocks.Row(cells=cells, note=unit))
    caption = "Base model and tuned model"
    return blocks.Section(
        title="Drift",
        lead=_DRIFT_LEAD,
        blocks=(blocks.table(caption, _DRIFT_COLUMNS, rows, "cards"),),
        card=tuple(f"drift, {drift_line(score)}" for score in report.drift.scores),
    )


def drift_line(score: DriftScore) -> str:
    name, unit = _NAMES.get(score.name, (score.name, ""))
    moved = f"{number(score.before)} before, {number(score.after)} after"
    return f"{name}: {moved} ({unit} {_change(score).value})"


def _change(score: DriftScore) -> blocks.Estimate:
    is_signed = score.name == CHOSEN_LOG_PROBABILITY
    shown = number(score.change.value, signed=is_signed)
    return blocks.Estimate(shown, interval(score.change.interval, signed=is_signed))


_LEAD = (
    "The same questions, which have nothing to do with the task, before and after training. A "
    "positive drop is a loss. Shift: how much likelier the right answer became, in nats a byte."
)
TEXT = "forgetting.text"
"""The check of general text; the other one is of probes."""
_KINDS = {"multiple_choice": "multiple choice", "minimal_pairs": "minimal pairs"}
_FORGETTING_COLUMNS = (
    "probes | drop:got | :drawn | before → after:required | questions:rows | p:status"
)


@report_section("forgetting", at=100)
def forgetting(report: Report) -> blocks.Section | None:
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
    return blocks.table(caption, _FORGETTING_COLUMNS, rows, "cards", legend=legend)


def _name(item: ProbeScores, result: ForgettingResult) -> str:
    return "all probes" if item is result.overall else item.name


def _drop(item: ProbeScores) -> blocks.Estimate:
    ends = interval(item.drop.interval, signed=True)
    return blocks.Estimate(number(item.drop.value, signed=True), ends)


def _share(metric: Metric) -> str:
    """The share of questions answered right, or why there is none."""
    return undefined(metric) if metric.value is None else number(metric.value)


_COLUMNS = "check | got:got | :drawn | required:required | p:under | rows:rows | answer:status"
_DRAWING = (
    "The shaded stretch is what the recipe accepts, the line at its end the threshold, the dot "
    "what was measured, the whisker its interval."
)


@report_section("acceptance", at=10)
def acceptance(report: Report) -> blocks.Section:
    gate = report.gate
    shown: tuple[blocks.Block, ...] = (absent(report, "gate"),)
    if gate:
        shown = (check_table(gate, "Checks on the tuned model"), *interval_methods(gate.checks))
    title = "What the holdout can show"
    power: tuple[blocks.Block, ...] = (
        (blocks.Heading(title), *blocks.bullets(report.power)) if report.power else ()
    )
    return blocks.Section(
        title="Acceptance",
        drawing_lead=_DRAWING if gate else "",
        blocks=(*shown, *power),
        closing=report.power[:1] if report.outcome == "inconclusive" else (),
    )


def check_table(verdict: Verdict, caption: str) -> blocks.Table:
    scores = [check for check in verdict.checks if _is_score(check)]
    seen = numbers_of((item.got, item.interval) for item in scores)
    lowest = min([*seen, *(item.bound for item in scores)], default=0.0)
    # A value on a tenth itself gets room at its left.
    scores = blocks.Axis(max(0.0, min(0.9, math.floor(lowest * 10 - 1e-9) / 10)), 1.0)
    rows = (_row(check, scores) for check in verdict.checks)
    return blocks.table(caption, _COLUMNS, rows, "cards")


def interval_methods(checks: Sequence[Check]) -> tuple[blocks.Paragraph, ...]:
    intervals = [check.interval for check in checks if check.interval]
    methods = sorted({f"{percent(item.confidence)}, {item.method}" for item in intervals})
    return (blocks.Paragraph(f"Intervals: {'; '.join(methods)}.", "fine"),) if methods else ()


def _row(check: Check, scores: blocks.Axis) -> blocks.Row:
    is_signed, title = is_difference(check), check_title(check.name)
    own = around([(check.got, check.interval)], check.bound, has_zero=is_signed)
    track = blocks.Track(
        label=check_sentence(check),
        axis=scores if _is_score(check) else own,
        value=check.got,
        interval=check.interval,
        threshold=check.bound,
        allowed=check.direction,
        zero="axis" if is_signed else "",
        tone=check.status.value,
    )
    cells = (
        title if " " in title else blocks.Code(title),
        blocks.Estimate(got_value(check), got_interval(check)),
        track,
        required(check),
        p_values(check.p_value, check.p_adjusted),
        count(check.n),
        blocks.status_badge(check.status),
    )
    return blocks.Row(cells=cells, note=explanation(check))


def _is_score(check: Check) -> bool:
    return not is_difference(check) and check.direction == "min" and is_share(check.name)
