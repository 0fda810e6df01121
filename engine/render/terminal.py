"""The writer for terminals: blocks as lines of at most so many columns, tables by rich."""

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from engine.evidence import Status
from engine.render import blocks
from engine.render.progress_display import WIDTH
from engine.render.styled_text import STYLES, Line, printable
from engine.values import Value

_REASON_WIDTH = 45
"""Columns of the plan that a cost leaves to stage, state and reason."""


class PlanRow(Value):
    stage: str
    state: str
    """`reuse`, `run` or `wait`."""
    why: str
    cost: str = ""


def plan_table(
    rows: Sequence[PlanRow],
    *,
    title: str,
    facts: Sequence[tuple[str, str]] = (),
    closing: str = "",
    colour: bool,
    width: int = WIDTH,
) -> str:
    parts: list[RenderableType] = [text(title, "strong"), text(""), indented(_stages(rows, width))]
    if facts:
        named = [(text(name, "quiet"), text(fact)) for name, fact in facts]
        parts += [text(""), indented(grid(named))]
    parts += [text(""), text(closing)] if closing else []
    return terminal_text(parts, width=width, colour=colour)


def _stages(rows: Sequence[PlanRow], width: int) -> Table:
    states = (blocks.Strong(row.state) if row.state == "run" else row.state for row in rows)
    cells = ((row.stage, state, row.why, row.cost) for row, state in zip(rows, states, strict=True))
    shown = rich_table(blocks.table("", "stage | state | why | cost", cells))
    cost = shown.columns[-1]
    # a cost stays on one line where that leaves room for the reasons, which are sentences
    cost.no_wrap = max((len(row.cost) for row in rows), default=0) <= width - _REASON_WIDTH
    # at the bottom, so that a reason that takes two lines is read without the cost in between
    cost.vertical = "bottom"
    return shown


_STYLES: Mapping[type[object], str] = {
    blocks.Strong: "strong",
    blocks.Muted: "quiet",
    blocks.Failure: "fail",
}
"""Of pieces of text; others have none."""
_INDENT = 2
_BOUND = "\ue000"
"""A blank within a command, where no line is broken; of the characters that mean nothing."""
_WORD = re.compile(r"\s*\S+\s*")
_COMMAND = re.compile("`[^`\n]+`")


def terminal_text(parts: Iterable[RenderableType], *, width: int, colour: bool) -> str:
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
            console.print(_unbroken(part, width), crop=False)
    # rich fills the lines of a table with blanks.
    lines = shown.get().replace(_BOUND, " ").splitlines()
    return "".join(line.rstrip() + "\n" for line in lines)


class Hanging(Value, kw_only=False):
    """What is drawn to the right of a head; unlike in a grid or a padding, what is too wide is not cut."""

    head: Text
    width: int
    part: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.update_width(max(1, options.max_width - self.width))
        head = [Segment(self.head.plain, console.get_style(str(self.head.style)))]
        shown = _unbroken(self.part, room.max_width)
        for line in Segment.split_lines(console.render(shown, room)):
            yield from Segment.adjust_line_length(head, self.width)
            yield from line
            yield Segment.line()
            head = []


def section(part: blocks.Section) -> Iterable[RenderableType]:
    yield text(part.title, "strong")
    parts = [blocks.Paragraph(part.lead, "muted"), *part.blocks] if part.lead else part.blocks
    for block in parts:
        drawn = list(renderables(block))
        yield from [*map(indented, drawn), text("")] if drawn else []


def indented(part: RenderableType, by: int = _INDENT) -> RenderableType:
    return Hanging(Text(""), by, part)


def renderables(block: blocks.Block) -> Iterator[RenderableType]:
    match block:
        case blocks.Paragraph():
            yield inline(block.text)
        case blocks.Heading():
            yield text(block.text, "strong")
        case blocks.Bullets():
            for item in block.items:
                yield Hanging(text("- "), 2, inline(item))
        case blocks.Facts():
            names = [text(name, "quiet") for name, _ in block.rows]
            width = 2 + max((cell_len(name.plain) for name in names), default=0)
            for name, (_, value) in zip(names, block.rows, strict=True):
                yield Hanging(name, width, inline(value))
        case blocks.Absent():
            yield text(blocks.capital(block.reason) + ".", "quiet")
        case blocks.Listing():
            yield text(block.title, "quiet")
            yield from (text("  " + line) for line in block.text.splitlines())
        case blocks.Table():
            yield text(block.caption, "quiet")
            shown = blocks.filled(block)
            yield rich_table(shown)
            for row in filter(lambda row: row.note, shown.rows):
                yield Text.assemble("  ", inline(row.cells[0]), text(f": {row.note}", "quiet"))
        case blocks.Matrix():
            if table := block.as_table("", "; rows are what is true"):
                yield from renderables(table)


def rich_table(table: blocks.Table) -> Table:
    """All columns of a table, whose texts wrap where the terminal is too narrow."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STYLES["quiet"])
    for column in table.columns:
        justify: JustifyMethod = "right" if column.is_right else "left"
        shown.add_column(text(column.name), justify=justify, overflow="fold")
    for row in table.rows:
        # Such a table has too many numbers for their intervals.
        is_short = table.layout == "stacked"
        cells = (
            cell.value if is_short and isinstance(cell, blocks.Estimate) else cell
            for cell in row.cells
        )
        shown.add_row(*map(inline, cells))
    return shown


def grid(rows: Iterable[Sequence[RenderableType]]) -> RenderableType:
    shown = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        while len(shown.columns) < len(row):
            # What a recipe reads and asks is never cut, however long a path is.
            shown.add_column(overflow="fold")
        shown.add_row(*row)
    return shown


def text(words: str, style: str = "") -> Text:
    """Text with nothing that a terminal would obey; a command between backticks is not broken."""
    shown = _COMMAND.sub(lambda found: bound(found[0]), printable(words))
    return Text(shown, STYLES.get(style, ""))


def _wrapped(shown: str, room: int) -> list[str]:
    """Break a text between words; a word that is longer than a line, such as a path, stays intact."""
    cuts, taken = [0], 0
    for match in _WORD.finditer(shown):
        width = cell_len(match[0].rstrip())
        if taken and width > room - taken:
            cuts.append(match.start())
            taken = 0
        taken += cell_len(match[0])
    ends = [*cuts[1:], len(shown)]
    return [shown[start:end].rstrip() for start, end in zip(cuts, ends, strict=True)]


def broken(words: Text, room: int) -> list[Text]:
    """Lines of a text that wraps between words; one that is longer than a line, such as a path, sticks out."""
    lines = []
    for paragraph in words.split(allow_blank=True):
        at = 0
        for line in _wrapped(paragraph.plain, room):
            at = paragraph.plain.index(line, at)
            shown = paragraph[at : at + len(line)]
            shown.no_wrap, shown.overflow = True, "ignore"
            at += len(line)
            lines.append(shown)
    return lines


def _unbroken(part: RenderableType, room: int) -> RenderableType:
    """Return a text in lines in which no word is broken; rich breaks those that are too long."""
    if isinstance(part, Text) and not part.no_wrap:
        return Group(*broken(part, room))
    return part


def bound(words: str) -> str:
    """The words as one that is never broken, such as a command that is copied."""
    return words.replace(" ", _BOUND)


def styled(spans: Line) -> Text:
    return Text.assemble(*((words, STYLES.get(style, "")) for words, style in spans))


def inline(cell: blocks.Cell) -> Text:
    match cell:
        case tuple():
            parts = (inline(part.strip() if type(part) is str else part) for part in cell)
            return text(" ").join(part for part in parts if part)
        case blocks.Badge():
            return text(cell.word, cell.tone if cell.tone in set(Status) else "")
        case blocks.PageOnly():
            return text("")
    return text(str(cell), _STYLES.get(type(cell), ""))
