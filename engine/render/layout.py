"""Texts and tables as lines of at most so many columns, laid out as rich does it and without rich.

For what a light verb shows: importing rich and asking it to draw took a seventh of the processor time of `recipe plan`.
Cells have one style each, columns wrap, and a cell may hold a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells, set_cell_size

from engine.render import blocks
from engine.render.styled_text import Line, Span, printable, to_text

_GAP = 2
"""Blanks behind each column but the last."""
_WORD = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridColumn:
    """How the cells of a column are set."""

    is_right: bool = False
    wraps: bool = True
    is_bottom: bool = False
    """Beside a taller cell they stand at its last line."""


_PLAIN = GridColumn()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Cells in columns; what is too wide is wrapped, the widest column first."""

    columns: tuple[GridColumn, ...]
    rows: tuple[tuple[Part, ...], ...]
    has_head: bool = False
    """The first row stands at the bottom."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Parts below each other."""

    parts: tuple[Part, ...]


type Part = Span | Grid | Stack


def grid_of(table: blocks.Table) -> Grid:
    """Return a table of texts, heads included."""
    head = tuple((printable(column.name), "quiet") for column in table.columns)
    rows = (tuple(map(text, row.cells)) for row in table.rows)
    columns = tuple(GridColumn(is_right=column.is_right) for column in table.columns)
    return Grid(columns=columns, rows=(head, *rows), has_head=True)


def text(cell: object) -> Span:
    """Return a cell with nothing that a terminal would obey."""
    return printable(str(cell)), "strong" if isinstance(cell, blocks.Strong) else ""


def laid_out(parts: Sequence[tuple[int, Part]], *, width: int, colour: bool) -> str:
    """Draw parts below each other, each moved to the right by its number."""
    lines = (
        ((" " * by, ""), *line) for by, part in parts for line in _lines(part, max(1, width - by))
    )
    return to_text(map(_trimmed, lines), colour=colour)


def width_of(part: Part, room: int) -> tuple[int, int]:
    """Return how many columns a part needs at least and takes at most, within so many."""
    if room < 1:
        return 0, 0
    if isinstance(part, Grid):
        taken = sum(_widths(part, room))
        found = [_column_width(part, at, taken) for at in range(len(part.columns))]
        least, most = sum(one for one, _ in found), sum(one for _, one in found)
    elif isinstance(part, Stack):
        below = [width_of(one, room) for one in part.parts]
        least, most = max(one for one, _ in below), max(one for _, one in below)
    else:
        least = max(map(cell_len, part[0].split()), default=0)
        most = cell_len(part[0])
    return min(least, most, room), min(most, room)


def _gap(grid: Grid, at: int) -> int:
    return 0 if at == len(grid.columns) - 1 else _GAP


def _column_width(grid: Grid, at: int, room: int) -> tuple[int, int]:
    gap = _gap(grid, at)
    if room <= gap:
        return max(0, room), max(0, room)
    found = [width_of(row[at], room) for row in grid.rows]
    least, most = max(one for one, _ in found), max(one for _, one in found)
    return min(room, least + gap), min(room, most + gap)


def _widths(grid: Grid, room: int) -> list[int]:
    every = range(len(grid.columns))
    widths = [_column_width(grid, at, room)[1] or 1 for at in every]
    if sum(widths) <= room:
        return widths
    widths = _narrowed(widths, [column.wraps for column in grid.columns], room)
    if sum(widths) > room:
        widths = _shared_out(sum(widths) - room, [1 for _ in every], widths, widths)
    return [_column_width(grid, at, width)[1] for at, width in zip(every, widths, strict=True)]


def _narrowed(widths: list[int], wraps: Sequence[bool], room: int) -> list[int]:
    """Take from the widest columns that wrap until they are as narrow as the next one, and on."""
    while any(wraps) and sum(widths) > room:
        own = [width for width, may in zip(widths, wraps, strict=True) if may]
        widest = max(own)
        step = widest - max((width for width in own if width != widest), default=0)
        taken = [int(may and width == widest) for width, may in zip(widths, wraps, strict=True)]
        excess = sum(widths) - room
        if not step:
            break
        widths = _shared_out(excess, taken, [min(excess, step)] * len(widths), widths)
    return widths


def _shared_out(
    total: int, shares: Sequence[int], most: Sequence[int], widths: Sequence[int]
) -> list[int]:
    """Take so much from the widths by their shares, and of none more than its most."""
    shares = [share if limit else 0 for share, limit in zip(shares, most, strict=True)]
    left, found = sum(shares), list[int]()
    for share, limit, width in zip(shares, most, widths, strict=True):
        taken = min(limit, round(share * total / left)) if share else 0
        found.append(width - taken)
        total -= taken
        left -= share
    return found


def _lines(part: Part, room: int, column: GridColumn = _PLAIN) -> list[Line]:
    if isinstance(part, Grid):
        return list(_grid_lines(part, room))
    if isinstance(part, Stack):
        return [line for one in part.parts for line in _lines(one, room, column)]
    shown, style = part
    lines = _wrapped(shown, room) if column.wraps else [_cut(shown.rstrip(), room)]
    if column.is_right:
        lines = [" " * (room - cell_len(line)) + line for line in lines]
    return [((line, style),) for line in lines]


def _grid_lines(grid: Grid, room: int) -> Iterator[Line]:
    widths = _widths(grid, room)
    for number, row in enumerate(grid.rows):
        cells = []
        for at, (part, column) in enumerate(zip(row, grid.columns, strict=True)):
            own = max(0, widths[at] - _gap(grid, at))
            lines = _lines(part, own, column) if own else []
            cells.append([_filled(line, widths[at]) for line in lines])
        height = max(1, *map(len, cells))
        is_head = grid.has_head and number == 0
        filled = [
            _heightened(cell, height, widths[at], is_bottom=is_head or grid.columns[at].is_bottom)
            for at, cell in enumerate(cells)
        ]
        for at in range(height):
            yield tuple(span for cell in filled for span in cell[at])


def _filled(line: Line, width: int) -> Line:
    taken = sum(cell_len(shown) for shown, _ in line)
    return *line, (" " * max(0, width - taken), "")


def _heightened(cell: list[Line], height: int, width: int, *, is_bottom: bool) -> list[Line]:
    missing: list[Line] = [((" " * width, ""),)] * (height - len(cell))
    return [*missing, *cell] if is_bottom else [*cell, *missing]


def _wrapped(shown: str, room: int) -> list[str]:
    """Break a text between words, and a word that is longer than a line within it."""
    return [_cut(line, room) for line in wrapped(shown, room, folds=True)]


def wrapped(shown: str, room: int, *, folds: bool = False) -> list[str]:
    """Break a text between words; a word that is longer than a line, such as a path, is whole unless it `folds`."""
    cuts, taken = [0], 0
    for match in _WORD.finditer(shown):
        start, word = match.start(), match[0]
        length = cell_len(word.rstrip())
        if length <= room - taken:
            taken += cell_len(word)
        elif length > room and folds:
            for piece in chop_cells(word, room):
                cuts.append(start)
                start, taken = start + len(piece), cell_len(piece)
        elif taken:
            cuts.append(start)
            taken = cell_len(word)
    ends = [*cuts[1:], len(shown)]
    lines = (
        shown[start:end] for start, end in zip(cuts, ends, strict=True) if start < end or not shown
    )
    return [line.rstrip() for line in lines] or [""]


def _cut(line: str, room: int) -> str:
    return set_cell_size(line, min(room, cell_len(line)))


def _trimmed(line: Line) -> Line:
    """Leave out the blanks at its end."""
    spans = list(line)
    while spans and not spans[-1][0].strip():
        spans.pop()
    return (*spans[:-1], (spans[-1][0].rstrip(), spans[-1][1])) if spans else ()
