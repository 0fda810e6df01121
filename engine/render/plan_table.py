"""The plan in the terminal: a table of stages, and facts by name."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table

from engine.render import blocks
from engine.render.progress import WIDTH
from engine.render.terminal import grid, indented, rich_table, terminal_text, text
from engine.values import Value

_INDENT = 2
_REASON_WIDTH = 45
"""Columns of the plan that a cost leaves to stage, state and reason."""
_HEAD_GIVES = 5
"""Columns that `rows for 0.80` is narrower on two lines."""


class PlanRow(Value):
    """One line of the plan."""

    stage: str
    state: str
    """`reuse`, `run` or `wait`."""
    why: str
    cost: str = ""


def plan_table(
    rows: Sequence[PlanRow],
    *,
    title: str,
    facts: Sequence[tuple[str, str | blocks.Table]] = (),
    closing: str = "",
    colour: bool,
    width: int = WIDTH,
) -> str:
    """The plan: a title, a table of stage, state, why and cost, named facts, and a closing sentence."""
    parts: list[RenderableType] = [text(title, "strong"), text(""), indented(_stages(rows, width))]
    if facts:
        room = width - 2 * _INDENT - max(len(name) for name, _ in facts)
        named = [(text(name, "quiet"), _shown(fact, room)) for name, fact in facts]
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


def _shown(fact: str | blocks.Table, width: int) -> RenderableType:
    """Return a fact's sentence, or its table under its caption."""
    if isinstance(fact, str):
        return text(fact)
    table = rich_table(blocks.filled(fact))
    # where it is a little too wide, the head of the last column is set on two lines, and no cell
    console = Console(width=10 * width)
    wraps = Measurement.get(console, console.options, table).maximum - width > _HEAD_GIVES
    for column in table.columns[:-1]:
        column.no_wrap = not wraps
    return Group(text(fact.caption), table)
