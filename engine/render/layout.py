"""Tables and paragraphs of styled lines, indented, for a terminal of any width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from engine.render.spans import Line, cells, crop, line, pad, printable

INDENT = "  "
GAP = "  "


def table(rows: Sequence[Sequence[str]], sides: str, width: int) -> Iterator[Line]:
    """Aligned columns under a quiet heading; `sides` has `l` or `r` a column. The first column gives way."""
    widths = [max(cells(row[at]) for row in rows) for at in range(len(sides))]
    others = sum(widths[1:]) + len(GAP) * (len(sides) - 1) + len(INDENT)
    widths[0] = min(widths[0], max(8, width - others))
    for number, row in enumerate(rows):
        shown = [crop(row[0], widths[0]), *row[1:]]
        parts = [
            pad(text, size) if side == "l" else " " * (size - cells(text)) + text
            for text, side, size in zip(shown, sides, widths, strict=True)
        ]
        yield line((INDENT + GAP.join(parts), "quiet" if number == 0 else ""))


def paragraph(text: str, width: int, *, indent: str = INDENT) -> Iterator[Line]:
    """The text on as many lines as it takes; nothing for none."""
    room = max(20, width - len(indent))
    for part in textwrap.wrap(printable(text), room, break_on_hyphens=False):
        yield line(indent + part)


def more(left: int, what: str) -> Iterator[Line]:
    """How many are not shown; nothing for none."""
    if left > 0:
        yield line(INDENT, (f"… and {left} more {what}", "quiet"))
