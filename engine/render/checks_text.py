"""The checks of a verdict as aligned lines for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from engine.evidence import Check, Status, Verdict
from engine.render.labels import check_title, got_interval, got_value, required
from engine.render.number_format import NOTHING, p_value
from engine.render.progress import STAGE_WIDTH, WIDTH
from engine.render.styled_text import Line, cells, crop, line, pad, printable, to_text

_INDENT = " " * STAGE_WIDTH
_SHORTEST = 12
_COMPARED = {"over_baselines": "over baselines", "over_previous": "drop since accepted"}


def check_lines(verdict: Verdict, *, stage: str, colour: bool) -> str:
    """One aligned line a check: name, got, interval, required, status; below it, why not."""
    return to_text(check_rows(verdict.checks, stage), colour=colour)


def check_rows(checks: Sequence[Check], stage: str) -> list[Line]:
    """One aligned line a check, its first with the stage's name; below it, why it does not hold."""
    room = WIDTH - STAGE_WIDTH - 2 - max((len(check.status.value) for check in checks), default=0)
    parts = [
        (_short_title(check, checks), got_value(check), got_interval(check), _wanted(check))
        for check in checks
    ]
    rows = _fitting(parts, room)
    lines: list[Line] = []
    for index, (check, row) in enumerate(zip(checks, rows, strict=True)):
        head = pad(stage, STAGE_WIDTH) if index == 0 else _INDENT
        lines.append(line((head, "strong"), row + "  ", (check.status.value, check.status.value)))
        if check.note and check.status is not Status.PASS:
            wrapped = textwrap.wrap(printable(check.note), WIDTH - STAGE_WIDTH - 2)
            lines += [line(_INDENT, ("  " + part, "quiet")) for part in wrapped]
    return lines


def _fitting(parts: Sequence[tuple[str, str, str, str]], room: int) -> list[str]:
    """The rows aligned; without `required` where they are too long, and then with titles cut."""
    rows = _columns(parts)
    if _longest(rows) > room:
        parts = [(*row[:3], row[3].removeprefix("required ")) for row in parts]
        rows = _columns(parts)
    if (more := _longest(rows) - room) > 0:
        width = max(_SHORTEST, max(cells(row[0]) for row in parts) - more)
        rows = _columns([(crop(row[0], width), *row[1:]) for row in parts])
    return rows


def _longest(rows: Sequence[str]) -> int:
    return max((cells(row) for row in rows), default=0)


def _columns(rows: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Rows of title, value, interval and demand, aligned; a value in words spans two columns."""
    valued = [row for row in rows if row[1] != NOTHING]
    value = max((cells(row[1]) for row in valued), default=0)
    title, demand = (max((cells(row[at]) for row in rows), default=0) for at in (0, 3))
    spans = max(cells(_spanned(row, value)) for row in rows) if rows else 0
    return [
        f"{pad(row[0], title)}  {pad(_spanned(row, value), spans)}  {pad(row[3], demand)}"
        for row in rows
    ]


def _spanned(row: tuple[str, str, str, str], value: int) -> str:
    return f"{pad(row[1], value)}  {row[2]}".rstrip()


def _short_title(check: Check, checks: Sequence[Check]) -> str:
    """The title, shorter for comparisons; the metric is left out where there is one such check."""
    title = _COMPARED.get(check.kind)
    if title is None:
        return printable(check_title(check.name))
    alone = sum(item.kind == check.kind for item in checks) == 1
    return title if alone else printable(f"{check.metric} {title}")


def _wanted(check: Check) -> str:
    """The demand, with the p of the test; corrected for all tests where that was done."""
    shown = f"required {required(check)}"
    if check.p_adjusted not in (None, check.p_value):
        return f"{shown}, Holm {p_value(check.p_adjusted)}"
    return f"{shown}, {p_value(check.p_value)}" if check.p_value is not None else shown
