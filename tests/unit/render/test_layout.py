"""`engine.render.layout` beside rich: the same lines, whatever stands in the cells and however wide the terminal is."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

import pytest
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.render import terminal
from engine.render.layout import Grid, GridColumn, Part, Stack, laid_out
from engine.render.styled_text import STYLES

WORDS = (
    "a", "of", "stage", "never built", "~6 min · 50 steps", "/data/very/long/path/to/a/file-of-rows.jsonl",
    "0.862", "data.sources[0].path", "日本語の文章です", "naïve", "e\u0301te\u0301", "👩‍👩‍👧", "🇩🇪", "ﾜｲﾄﾞ",
    "(if the gate passes)", "  indented", "trailing  ", "two  blanks", "x" * 47,
)  # fmt: skip
SHORT = ("", "0.7 GB disk", "up to 4 trainings", "日本")
NARROW = tuple(word for word in WORDS if max(word) < "\u1100")
NO_HEAD: tuple[Part, ...] = (("", ""),)


def by_rich(part: Part) -> RenderableType:
    if isinstance(part, Stack):
        return Group(*map(by_rich, part.parts))
    if not isinstance(part, Grid):
        return Text(part[0], STYLES.get(part[1], ""))
    shown = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=part.has_head,
        collapse_padding=True, header_style="",
    )  # fmt: skip
    head, *rows = part.rows if part.has_head else (NO_HEAD * len(part.columns), *part.rows)
    for one, column in zip(head, part.columns, strict=True):
        shown.add_column(
            by_rich(one),
            justify="right" if column.is_right else "left",
            vertical="bottom" if column.is_bottom else "top",
            overflow="fold",
            no_wrap=not column.wraps,
        )
    for row in rows:
        shown.add_row(*map(by_rich, row))
    return shown


def text_of(draw: random.Random, words: Sequence[str] = WORDS) -> tuple[str, str]:
    text = " ".join(draw.choices(words, k=draw.choice((0, 1, 1, 2, 8))))
    return text, draw.choice(("", "", "strong", "quiet"))


def grid_of(draw: random.Random, *, depth: int) -> Grid:
    count = draw.randint(1, 4)
    whole = draw.randrange(2 * count)
    columns = tuple(
        GridColumn(is_right=draw.random() < 0.3, wraps=at != whole, is_bottom=draw.random() < 0.3)
        for at in range(count)
    )

    def cell(at: int) -> Part:
        if at == whole:
            return draw.choice(SHORT), ""
        if depth and at == count - 1 and draw.random() < 0.3:
            return Stack((text_of(draw), grid_of(draw, depth=depth - 1)))
        return text_of(draw, WORDS if depth else NARROW)

    rows = tuple(tuple(map(cell, range(count))) for _ in range(draw.randint(1, 4)))
    return Grid(columns=columns, rows=rows, has_head=draw.random() < 0.5)


def seen(shown: str) -> Iterator[list[tuple[str, str]]]:
    """Yield each line as characters with their styles, blanks without."""
    for line in shown.splitlines():
        style, found = "", []
        for escape, character in re.findall("(?:\x1b\\[([0-9;]*)m)|(.)", line):
            if character:
                found.append((character, "" if character == " " else style))
            else:
                style = "" if escape == "0" else escape
        while found and found[-1][0] == " ":
            found.pop()
        yield found


@pytest.mark.parametrize("number", range(60))
def test_parts_are_laid_out_as_rich_does_it(number: int) -> None:
    draw = random.Random(number)
    parts: list[tuple[int, Part]] = [(0, text_of(draw)), (2, grid_of(draw, depth=1))]
    for width in (50, 60, 79, 80, 140):
        drawn = [by_rich(parts[0][1]), terminal.indented(by_rich(parts[1][1]))]

        assert terminal.terminal_text(drawn, width=width, colour=False) == laid_out(
            parts, width=width, colour=False
        )
        assert [*seen(terminal.terminal_text(drawn, width=width, colour=True))] == [
            *seen(laid_out(parts, width=width, colour=True))
        ]


@pytest.mark.parametrize("width", range(1, 12))
def test_a_terminal_that_is_too_narrow_is_none_to_fail_at(width: int) -> None:
    draw = random.Random(width)

    assert laid_out([(2, grid_of(draw, depth=1))], width=width, colour=False).endswith("\n")
