"""The writer for terminals: blocks as lines of at most so many columns, tables by rich."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import singledispatch

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from engine.evidence import Status
from engine.render import blocks
from engine.render.styled_text import STYLES, Line, printable

_STYLES: Mapping[type[object], str] = {
    blocks.Strong: "strong",
    blocks.Muted: "quiet",
    blocks.Failure: "fail",
}
"""Of pieces of text; others have none."""
_INDENT = 2


def terminal_text(parts: Iterable[RenderableType], *, width: int, colour: bool) -> str:
    """What rich draws, as text; without `colour` it has no escape sequences."""
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system="standard" if colour else None,
        force_terminal=colour,
        legacy_windows=False,
        # Texts are shown as they are: rich would colour numbers, and read `[red]` and `:smile:`.
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as shown:
        for part in parts:
            # Else rich cuts what is too wide, such as a path that is to be copied.
            console.print(part, crop=False)
    # rich fills the lines of a table with blanks.
    return "".join(line.rstrip() + "\n" for line in shown.get().splitlines())


def section(part: blocks.Section) -> Iterable[RenderableType]:
    """A section under its title."""
    yield text(part.title, "strong")
    parts = [blocks.Paragraph(part.lead, "muted"), *part.blocks] if part.lead else part.blocks
    for block in parts:
        drawn = list(renderables(block))
        yield from [*map(indented, drawn), text("")] if drawn else []


def indented(part: RenderableType, by: int = _INDENT) -> RenderableType:
    """Moved to the right."""
    return Padding(part, (0, 0, 0, by))


@singledispatch
def renderables(block: blocks.Block) -> Iterable[RenderableType]:
    """What rich prints of a block."""
    raise TypeError(type(block))


@renderables.register
def _(_block: blocks.PageOnly) -> Iterable[RenderableType]:
    return ()


@renderables.register
def _(block: blocks.Paragraph) -> Iterable[RenderableType]:
    yield inline(block.text)


@renderables.register
def _(block: blocks.Heading) -> Iterable[RenderableType]:
    yield text(block.text, "strong")


@renderables.register
def _(block: blocks.Bullets) -> Iterable[RenderableType]:
    for item in block.items:
        yield text("- ").append_text(inline(item))


@renderables.register
def _(block: blocks.Facts) -> Iterable[RenderableType]:
    yield grid([[text(name, "quiet"), inline(value)] for name, value in block.rows])


@renderables.register
def _(block: blocks.Absent) -> Iterable[RenderableType]:
    yield text(blocks.capital(block.reason) + ".", "quiet")


@renderables.register
def _(block: blocks.Listing) -> Iterable[RenderableType]:
    yield text(block.title, "quiet")
    for line in block.text.splitlines():
        yield text("  " + line)


@renderables.register
def _(block: blocks.Table) -> Iterable[RenderableType]:
    shown = blocks.filled(block)
    if block.layout == "stacked":  # too many numbers for their intervals
        shown = replace(shown, rows=tuple(map(_values, shown.rows)))
    yield text(block.caption, "quiet")
    yield rich_table(shown)
    for row in shown.rows:
        if row.note:
            yield Text.assemble("  ", inline(row.cells[0]), text(f": {row.note}", "quiet"))


def _values(row: blocks.Row) -> blocks.Row:
    cells = (cell.value if isinstance(cell, blocks.Estimate) else cell for cell in row.cells)
    return replace(row, cells=tuple(cells))


@renderables.register
def _(block: blocks.Matrix) -> Iterable[RenderableType]:
    if shown := block.as_table("", "; rows are what is true"):
        yield from renderables(shown)


def rich_table(table: blocks.Table) -> RichTable:
    """All columns of a table, whose texts wrap where the terminal is too narrow."""
    shown = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STYLES["quiet"])
    for column in table.columns:
        justify: JustifyMethod = "right" if column.is_right else "left"
        shown.add_column(text(column.name), justify=justify, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(inline, row.cells))
    return shown


def grid(rows: Iterable[Sequence[RenderableType]]) -> RenderableType:
    """Columns side by side without heads."""
    shown = RichTable.grid(padding=(0, 2, 0, 0))
    for row in rows:
        while len(shown.columns) < len(row):
            # What a recipe reads and asks is never cut, however long a path is.
            shown.add_column(overflow="fold")
        shown.add_row(*row)
    return shown


def text(words: str, style: str = "") -> Text:
    """Text with nothing that a terminal would obey."""
    return Text(printable(words), STYLES.get(style, ""))


def unbroken(words: Text) -> RenderableType:
    """The text on one line however narrow the terminal is, such as a path that is copied.

    It stands by itself: in a grid, or indented, it is cut at the width.
    """
    words.no_wrap, words.overflow = True, "ignore"
    # rich joins the texts that it is given into another one, which wraps.
    return Group(words)


def styled(spans: Line) -> Text:
    """A line of spans, whose texts are printable already."""
    return Text.assemble(*((words, STYLES.get(style, "")) for words, style in spans))


@singledispatch
def inline(cell: blocks.Cell) -> Text:
    """A cell or a piece of text."""
    return text(str(cell), _STYLES.get(type(cell), ""))


@inline.register(tuple)
def _(cell: tuple[blocks.Cell, ...]) -> Text:
    return text(" ").join(shown for part in cell if (shown := inline(part)))


@inline.register
def _(cell: blocks.Badge) -> Text:
    return text(cell.word, cell.tone if cell.tone in set(Status) else "")


@inline.register
def _(_cell: blocks.PageOnly) -> Text:
    return text("")
