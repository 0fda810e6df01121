"""A review on the terminal: the gate first, then what changes, what it costs, and what runs again."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from engine.evidence.review import Review
from engine.render.progress import WIDTH
from engine.render.review.rows import GATES, ChangedRow, gate_rows, sections
from engine.render.styled_text import Line, cells, line, pad, printable, to_text

_MOST_PATH, _MOST_CHANGE = 44, 34


def review_text(review: Review, *, colour: bool, width: int = WIDTH) -> str:
    """The whole review; an empty one says so in one line."""
    gate = GATES[review.gate]
    lines = [line((gate.title, gate.style)), *_rows(gate_rows(review), width)]
    for name, rows in sections(review):
        lines += [line((name, "strong"))] if name else []
        lines += _rows(rows, width)
    lines += _config(review)
    lines += _wrapped("Reruns", " ".join(review.reruns) or "nothing", width)
    for note in review.notes:
        lines += _wrapped("Note", note, width)
    for name in review.uncompared:
        lines += _wrapped("Not compared", name, width)
    if review.is_empty:
        lines.append(line("Both versions mean the same."))
    lines += _codes(review)
    return to_text(lines, colour=colour)


def _codes(review: Review) -> list[Line]:
    """The codes of what weakens the evidence, and where they are explained."""
    codes = list(dict.fromkeys(change.code for change in review.findings if change.alarms))
    if not codes:
        return []
    return [(), line((f"{', '.join(codes)} · recipe explain {codes[0]}", "quiet"))]


def _rows(rows: Sequence[ChangedRow], width: int) -> Iterator[Line]:
    """Aligned lines; what does not fit beside its key is wrapped below it."""
    paths = min(_MOST_PATH, max((cells(printable(row.path)) for row in rows), default=0))
    changes = [cells(printable(row.change)) for row in rows if row.says]
    change = min(_MOST_CHANGE, max(changes, default=0))
    for row in rows:
        yield from _row(row, paths, change, width)


def _row(row: ChangedRow, paths: int, changes: int, width: int) -> Iterator[Line]:
    says = printable(row.says)
    if row.effect in ("stronger", "not known"):
        says = f"{row.effect}: {says}" if says else row.effect
    head = f"  {pad(printable(row.path), paths)}   {pad(printable(row.change), changes)}"
    if cells(head) + 3 + cells(says) <= width:
        yield line(f"{head}   {says}".rstrip())
        return
    yield line(head.rstrip())
    for part in textwrap.wrap(says, width - 6, break_long_words=False):
        yield line(f"      {part}")


def _config(review: Review) -> Iterator[Line]:
    if not review.config:
        return
    names = " -> ".join(dict.fromkeys(review.backends))
    yield line((f"The compiled config changes ({names})", "strong"))
    width = min(60, max(len(f"{one.key}: {one.after or ''}") for one in review.config))
    for change in review.config:
        if change.before is not None:
            yield line((printable(f"  - {change.key}: {change.before}"), "fail"))
        if change.after is not None:
            written = pad(printable(f"{change.key}: {change.after}"), width)
            yield line((f"  + {written}", "pass"), (f"   {printable(change.origin)}", "quiet"))


def _wrapped(name: str, text: str, width: int) -> list[Line]:
    parts = textwrap.wrap(printable(text), width - len(name) - 2, break_long_words=False) or [""]
    return [
        line((name if number == 0 else " " * len(name), "strong"), f"  {part}")
        for number, part in enumerate(parts)
    ]
