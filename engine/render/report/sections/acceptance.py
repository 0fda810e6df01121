"""The gate: every check against its threshold, drawn and in numbers, and what the rows can show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.evidence import Check, Report, Verdict
from engine.render import blocks
from engine.render.axes import around, numbers_of
from engine.render.labels import (
    absent,
    check_sentence,
    check_title,
    explanation,
    got_interval,
    got_value,
    is_difference,
    required,
)
from engine.render.metric_format import is_share
from engine.render.number_format import count, p_values, percent
from engine.render.report.sections import report_section

_COLUMNS = "check | got:got | :drawn | required:required | p:under | rows:rows | answer:status"
_DRAWING = (
    "The shaded stretch is what the recipe accepts, the line at its end the threshold, the dot "
    "what was measured, the whisker its interval."
)


@report_section("acceptance", at=10)
def acceptance(report: Report) -> blocks.Section:
    """Every check of the gate, and the power of the holdout."""
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
    """Every check of a verdict."""
    scores = _score_axis(verdict.checks)
    rows = (_row(check, scores) for check in verdict.checks)
    return blocks.table(caption, _COLUMNS, rows, "cards")


def interval_methods(checks: Sequence[Check]) -> tuple[blocks.Paragraph, ...]:
    """How the intervals were computed, once for all checks."""
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


def _score_axis(checks: Sequence[Check]) -> blocks.Axis:
    """The common axis of shares with a minimum: from the tenth below all that must be seen up to 1."""
    scores = [check for check in checks if _is_score(check)]
    seen = numbers_of((item.got, item.interval) for item in scores)
    lowest = min([*seen, *(item.bound for item in scores)], default=0.0)
    # A value on a tenth itself gets room at its left.
    return blocks.Axis(max(0.0, min(0.9, math.floor(lowest * 10 - 1e-9) / 10)), 1.0)
