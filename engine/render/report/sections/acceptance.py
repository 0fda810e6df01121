"""The gate: every check against its threshold, drawn and in numbers, and what the rows can show."""

import math
from collections.abc import Iterator, Sequence

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
from engine.render import number_format as write
from engine.render.blocks import around, numbers_of
from engine.render.label_tables import (
    absent,
    change,
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
from engine.render.report.sections import Parts

_NAMES = {
    CHOSEN_LOG_PROBABILITY: ("log-probability of chosen answers", "nats a token, drop"),
    ANSWER_LENGTH: ("length of the model's own answers", "tokens an answer, ratio"),
}


def drift(report: Report) -> Parts:
    if report.drift is None:
        return
    checks = {check.label: check for check in checks_of(report.gate) if check.kind == "drift"}
    rows = []
    for score in report.drift.scores:
        name, unit = _NAMES.get(score.name, (score.name, ""))
        check = checks.get(score.name)
        moved = f"{write.number(score.before)} → {write.number(score.after)}"
        badge = blocks.status_badge(check.status) if check else ""
        cells = (blocks.Strong(name), _change(score), moved, write.count(score.change.n), badge)
        rows.append(blocks.Row(cells=cells, note=unit))
    columns = "what | change:got | before → after:required | rows | gate:status"
    yield blocks.table("Base model and tuned model", columns, rows, "cards")
    yield from (("card", f"drift, {drift_line(score)}") for score in report.drift.scores)


def drift_line(score: DriftScore) -> str:
    name, unit = _NAMES.get(score.name, (score.name, ""))
    moved = f"{write.number(score.before)} before, {write.number(score.after)} after"
    return f"{name}: {moved} ({unit} {_change(score).value})"


def _change(score: DriftScore) -> blocks.Estimate:
    return change(score.change, signed=score.name == CHOSEN_LOG_PROBABILITY)


TEXT = "forgetting.text"
"""The check of general text; the other one is of probes."""
_KINDS = {"multiple_choice": "multiple choice", "minimal_pairs": "minimal pairs"}


def forgetting(report: Report) -> Parts:
    result = report.forgetting
    if result is None:
        return
    checks = [check for check in checks_of(report.gate) if check.kind == "forgetting"]
    check = next((one for one in checks if one.name != TEXT), None)
    yield _gated(check, "drop")
    yield _probes(result, check)
    yield "card", f"forgetting, {probe_line(result.overall, result)}"
    if text := result.text:
        left_out = f"{write.count(text.left_out)} documents near text that is replayed"
        yield _gated(next((one for one in checks if one.name == TEXT), None), "rise")
        yield blocks.facts(
            ("text", "built-in sentences" if text.builtin else "named by the recipe"),
            ("documents", f"{write.count(text.documents)}, {write.count(text.bytes)} bytes"),
            ("bits a byte", f"{_share(text.before)} → {_share(text.after)}"),
            ("rise", change(text.rise)),
            ("p", write.known(text.p_value, write.p_value)),
            ("left out", left_out if text.left_out else ""),
        )
        yield "card", f"forgetting, {text_line(text)}"
    drops = [item for item in result.probes if item.drop.value is not None]
    if check and is_open(check) and report.outcome != "accepted" and len(drops) > 1:
        most = max(drops, key=lambda item: item.drop.value or 0.0)
        yield "closing", f"most was lost on {probe_line(most, result)}"


def _gated(check: Check | None, what: str) -> blocks.Paragraph:
    if check is None:
        return blocks.Paragraph(f"The recipe sets no limit to the {what}.", "fine")
    badge = blocks.status_badge(check.status)
    return blocks.Paragraph((badge, " ", blocks.Prose(check_sentence(check))), "gated")


def text_line(text: GeneralTextScores) -> str:
    whose = "built-in sentences" if text.builtin else "general text"
    moved = f"{_share(text.before)} bits a byte before, {_share(text.after)} after"
    return f"{whose}: {moved}, rise {change(text.rise)} on {write.count(text.documents)} documents"


def probe_line(item: ProbeScores, result: ForgettingResult) -> str:
    moved = f"{_share(item.before)} before, {_share(item.after)} after"
    name = _name(item, result)
    return f"{name}: {moved}, drop {change(item.drop)} on {write.count(item.n)} questions"


def _probes(result: ForgettingResult, check: Check | None) -> blocks.Table:
    """Every set of probes, and all together last where there are several."""
    items = [*result.probes, result.overall] if len(result.probes) != 1 else [*result.probes]
    limit = check.bound if check else None
    axis = around(((item.drop.value, item.drop.interval) for item in items), limit, has_zero=True)
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
            change(item.drop),
            track,
            f"{_share(item.before)} → {_share(item.after)}",
            write.count(item.n),
            blocks.Muted(write.known(item.p_value, write.p_value)),
        )
        kind = "" if is_overall else f"{_KINDS.get(item.kind, item.kind) or write.DASH}, "
        shift = write.DASH if item.shift is None else write.number(item.shift, signed=True)
        rows.append(blocks.Row(cells=cells, note=f"{kind}log-probability {shift} nats a byte"))
    line = "the full line is the most that is accepted"
    legend = "" if limit is None else f"{line}, {write.threshold(limit)}"
    caption = "Share of right answers before minus after"
    columns = "probes | drop:got | :drawn | before → after:required | questions:rows | p:status"
    return blocks.table(caption, columns, rows, "cards", legend=legend)


def _name(item: ProbeScores, result: ForgettingResult) -> str:
    return "all probes" if item is result.overall else item.name


def _share(metric: Metric) -> str:
    """The share of questions answered right, or why there is none."""
    return undefined(metric) if metric.value is None else write.number(metric.value)


def acceptance(report: Report) -> Parts:
    if report.gate is None:
        yield absent(report, "gate")
    else:
        yield from verdict_blocks(report.gate, "Checks on the tuned model")
    if report.power:
        yield blocks.Heading("What the holdout can show")
        yield from blocks.bullets(report.power)
        if report.outcome == "inconclusive":
            yield "closing", report.power[0]


def verdict_blocks(verdict: Verdict, caption: str) -> Iterator[blocks.Block]:
    """Every check of a verdict, and how their intervals were computed."""
    yield check_table(verdict, caption)
    intervals = [check.interval for check in verdict.checks if check.interval]
    if methods := sorted(
        {f"{write.percent(item.confidence)}, {item.method}" for item in intervals}
    ):
        yield blocks.Paragraph(f"Intervals: {'; '.join(methods)}.", "fine")


def check_table(verdict: Verdict, caption: str) -> blocks.Table:
    shares, rows = _share_axis(verdict.checks), []
    for check in verdict.checks:
        is_signed, title = is_difference(check), check_title(check.name)
        own = around([(check.got, check.interval)], check.bound, has_zero=is_signed)
        track = blocks.Track(
            label=check_sentence(check),
            axis=shares if _is_score(check) else own,
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
            write.p_values(check.p_value, check.p_adjusted),
            write.count(check.n),
            blocks.status_badge(check.status),
        )
        rows.append(blocks.Row(cells=cells, note=explanation(check)))
    columns = "check | got:got | :drawn | required:required | p:under | rows:rows | answer:status"
    return blocks.table(caption, columns, rows, "cards")


def _is_score(check: Check) -> bool:
    return not is_difference(check) and check.direction == "min" and write.is_share(check.name)


def _share_axis(checks: Sequence[Check]) -> blocks.Axis:
    """The common axis of shares with a minimum: from the tenth below all that must be seen up to 1."""
    scores = [check for check in checks if _is_score(check)]
    seen = numbers_of((item.got, item.interval) for item in scores)
    lowest = min([*seen, *(item.bound for item in scores)], default=0.0)
    # A value on a tenth itself gets room at its left.
    return blocks.Axis(max(0.0, min(0.9, math.floor(lowest * 10 - 1e-9) / 10)), 1.0)
