"""A row exactly as the model sees it, with what it learns from marked: visible with and without colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.evidence.data import ShownRow, ShownSegment
from engine.render.styled_text import Line, Span, cells, line, printable

OPEN, CLOSE = "⟦", "⟧"
"""Around what is learned from."""
LEARNED = ("learned from", "is learned from; the rest is only read")
"""What the marked tokens are for, after their number and after the marks."""
NOT_LEARNED = {
    "validation": ("measured", "is measured in training; a row of validation is not learned from"),
    "holdout": ("judged by", "is what answers are judged by; a holdout row is never learned from"),
}
"""The same for rows that are marked as training rows are, but never trained on."""
LINE, WRAPPED = "  │ ", "  ┊ "
"""Before a line of the text; before the rest of a line that is too wide for the terminal."""
FIRST, LAST = 60, 20
"""Lines shown of a long row, at its start and its end."""


def row_lines(row: ShownRow, width: int) -> tuple[str, Sequence[Line]]:
    """The heading of a row and its lines, each at most `width` columns wide."""
    marked, meaning = NOT_LEARNED.get(row.split, LEARNED)
    size = f" · {row.tokens:,} tokens, {row.supervised:,} {marked}" if row.tokens else ""
    heading = printable(f"row {row.origin} · {row.split} · {row.id}{size}")
    lines = _bounded(list(_text(row.segments, width)))
    if row.rejected:
        lines += [
            line(("  rejected: the answer that is not wanted", "quiet")),
            *_bounded(list(_text(row.rejected, width))),
        ]
    if any(segment.supervised for segment in row.segments):
        lines.append(line((f"  {OPEN}…{CLOSE} {meaning}", "quiet")))
    if row.note:
        lines.append(line(f"  {printable(row.note)}"))
    return heading, lines


def _text(segments: Sequence[ShownSegment], width: int) -> Iterator[Line]:
    """One line for each of the text, wrapped where it is too wide; line breaks are the text's own."""
    gutter, spans, room = LINE, list[Span](), width - len(LINE)
    for text, style in _spans(segments):
        for number, part in enumerate(text.split("\n")):
            if number:
                yield line((gutter, "quiet"), *spans)
                gutter, spans, room = LINE, [], width - len(LINE)
            # `printable` makes blanks of a tab; here it must be seen, since the model sees one.
            for piece in _pieces(printable(part.replace("\t", "\\t")), room, width - len(LINE)):
                if cells(piece) > room:
                    yield line((gutter, "quiet"), *spans)
                    gutter, spans, room = WRAPPED, [], width - len(LINE)
                spans.append((piece, style))
                room -= cells(piece)
    if spans:
        yield line((gutter, "quiet"), *spans)


def _spans(segments: Sequence[ShownSegment]) -> Iterator[Span]:
    for segment in segments:
        if segment.supervised:
            yield f"{OPEN}{segment.text}{CLOSE}", "pass"
        else:
            yield segment.text, ""


def _pieces(text: str, first: int, others: int) -> Iterator[str]:
    """Cut a line into pieces of at most `first` columns, then `others`."""
    room, piece, taken = first if first > 1 else others, "", 0
    for character in text:
        wide = cells(character)
        if piece and taken + wide > room:
            yield piece
            room, piece, taken = others, "", 0
        piece += character
        taken += wide
    if piece:
        yield piece


def _bounded(lines: list[Line]) -> list[Line]:
    """The start and the end of a long row, and how many lines stand between."""
    left = len(lines) - FIRST - LAST
    if left <= 1:
        return lines
    middle = line((f"  … {left} lines are not shown", "quiet"))
    return [*lines[:FIRST], middle, *lines[-LAST:]]
