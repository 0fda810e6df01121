"""The writer of Markdown: blocks, and the escaping that shows texts as they are."""

import json
import re
from collections.abc import Iterable, Sequence

from engine.render import blocks
from engine.render.styled_text import printable, revealed

_INTERVAL = re.compile(r"\[[^\[\]A-Za-z<>`|]*\]")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")
_LINKED = re.compile(
    r"(?<!\w)@(?=\w)|\w@(?=[\w-]+\.\w)|\\#(?=\d)|\bGH-(?=\d)|\w:(?=//)|\bwww(?=\.)",
    re.IGNORECASE,
)
"""What hosts of repositories make links of in plain text: people, mail, issues and addresses."""
_OTHER_BLANK = re.compile(r"[^\S ]")
_LIST = re.compile(r"^(\d{0,9})([-+=.)])(?=[\s=-]|$)")
"""What begins a list, a rule or a heading where it stands first."""
_BARE_PIPE = re.compile(r"(?<!\\)((?:\\\\)*)\|")
"""A `|` that no backslash escapes."""
_BREAK = "&#8203;"
"""A blank without width. An entity of the sign itself would not do: hosts look at the text after Markdown was read."""


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line; nothing in it becomes a link or notifies anybody."""
    shown = _SPECIAL.sub(r"\\\1", revealed(printable(" ".join(text.split()))))
    shown = _LIST.sub(r"\1\\\2", shown)
    # A host would notify whom a stranger's text mentions.
    return _LINKED.sub(lambda found: f"{found[0]}{_BREAK}", shown)


def prose(text: str) -> str:
    """A sentence; what stands between backticks is set as code."""
    pieces = blocks.Prose(text).pieces()
    if not any(is_code for _, is_code in pieces):
        return plain(text)
    return "".join(code(piece) if is_code else _inline(piece) for piece, is_code in pieces)


def _inline(text: str) -> str:
    left = " " if text[:1].isspace() else ""
    right = " " if text[-1:].isspace() else ""
    return f"{left}{plain(text)}{right}" if text.strip() else " " * bool(text)


def code(text: str) -> str:
    """A code span, fenced by more backticks than the text holds in a row.

    Blanks of another kind are escapes: names that differ in one would look alike.
    """
    shown = _OTHER_BLANK.sub(lambda found: json.dumps(found[0])[1:-1], text.strip())
    shown = revealed(printable(shown))
    fence = "`" * (_longest_run(shown) + 1)
    edge = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}" if shown else ""


def fenced(text: str, language: str) -> str:
    """A fenced block that its text cannot close."""
    fence = "`" * max(3, _longest_run(text) + 1)
    lines = "\n".join(printable(line) for line in text.splitlines())
    return f"{fence}{language}\n{lines}\n{fence}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: str = "") -> str:
    """A table; `numeric` holds one letter a column: `r` for flush right, anything else for left.

    A `|` in a cell is escaped, in code too: there it is no escape outside of a table.
    """
    marks = ["---:" if mark == "r" else "---" for mark in numeric.ljust(len(columns))]
    if len(marks) != len(columns):
        raise ValueError(f"{len(columns)} columns, {len(marks)} marks")
    lines = [columns, marks, *rows]
    escaped = ([_BARE_PIPE.sub(r"\1\|", cell) for cell in cells] for cells in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in escaped)


def section(part: blocks.Section) -> str:
    lead = plain(part.lead) if part.lead else ""
    return joined([f"## {plain(part.title)}", lead, *map(markdown, part.blocks)])


def joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def markdown(block: blocks.Block) -> str:
    match block:
        case blocks.Paragraph():
            shown = inline(block.text)
        case blocks.Heading():
            shown = f"### {plain(block.text)}"
        case blocks.Bullets():
            shown = "\n".join(f"- {inline(item)}" for item in block.items)
        case blocks.Facts():
            shown = "\n".join(f"- {plain(name)}: {inline(value)}" for name, value in block.rows)
        case blocks.Absent():
            shown = f"_{plain(blocks.capital(block.reason))}._"
        case blocks.Listing():
            shown = joined([f"### {plain(block.title)}", fenced(block.text, block.language)])
        case blocks.Table():
            filled = blocks.filled(block)
            noted = ["note"] if any(row.note for row in filled.rows) else []
            cells = [
                [*map(inline, row.cells), *(prose(row.note) for _ in noted)] for row in filled.rows
            ]
            marks = "".join("r" if column.is_right else "l" for column in filled.columns)
            heads = [*(inline(column.name) for column in filled.columns), *noted]
            shown = joined([f"**{plain(block.caption)}**", table(heads, cells, numeric=marks)])
        case blocks.Matrix():
            counted = block.as_table("true ↓ · answer →")
            shown = markdown(counted) if counted else ""
        case _:
            shown = ""
    return shown


def inline(cell: blocks.Cell) -> str:
    match cell:
        case tuple():
            shown = " ".join(filter(None, map(inline, cell)))
        case blocks.Estimate():
            # The brackets of an interval make no link, and are easier to read without escapes.
            shown = str(cell) if _INTERVAL.fullmatch(cell.about) else plain(str(cell))
        case blocks.Badge():
            shown = f"**{plain(cell.word)}**" if cell.sign else plain(cell.word)
        case blocks.PageOnly():
            shown = ""
        case blocks.Prose():
            shown = prose(cell)
        case blocks.Code() | blocks.Digest() | blocks.Label():
            shown = code(cell)
        case blocks.Strong():
            shown = f"**{plain(cell)}**" if cell else ""
        case _:
            shown = plain(str(cell))
    return shown


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
