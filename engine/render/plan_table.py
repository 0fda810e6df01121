"""The plan in the terminal: a table of stages, and facts by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.render import blocks
from engine.render.layout import Grid, GridColumn, Part, Stack, grid_of, laid_out, text, width_of
from engine.render.progress import WIDTH
from engine.render.styled_text import printable

_INDENT = 2
_REASON_WIDTH = 45
"""Columns of the plan that a cost leaves to stage, state and reason."""
_HEAD_GIVES = 5
"""Columns that `rows for 0.80` is narrower on two lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
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
    room = width - 2 * _INDENT - max((len(name) for name, _ in facts), default=0)
    named = tuple(((printable(name), "quiet"), _shown(fact, room)) for name, fact in facts)
    gap: tuple[int, Part] = (0, ("", ""))
    parts: list[tuple[int, Part]] = [(0, (printable(title), "strong")), gap]
    parts.append((_INDENT, _stages(rows, width)))
    if facts:
        parts += [gap, (_INDENT, Grid(columns=(GridColumn(), GridColumn()), rows=named))]
    parts += [gap, (0, text(closing))] if closing else []
    return laid_out(parts, width=width, colour=colour)


def _stages(rows: Sequence[PlanRow], width: int) -> Grid:
    states = (blocks.Strong(row.state) if row.state == "run" else row.state for row in rows)
    cells = ((row.stage, state, row.why, row.cost) for row, state in zip(rows, states, strict=True))
    shown = grid_of(blocks.table("", "stage | state | why | cost", cells))
    # a cost stays on one line where that leaves room for the reasons, which are sentences
    fits = max((len(row.cost) for row in rows), default=0) <= width - _REASON_WIDTH
    # at the bottom, so that a reason that takes two lines is read without the cost in between
    cost = GridColumn(wraps=not fits, is_bottom=True)
    return Grid(columns=(*shown.columns[:-1], cost), rows=shown.rows, has_head=True)


def _shown(fact: str | blocks.Table, width: int) -> Part:
    """A fact's sentence, or its table under its caption."""
    if isinstance(fact, str):
        return text(fact)
    table = grid_of(blocks.filled(fact))
    _, wide = width_of(table, 10 * width)
    # where it is a little too wide, the head of the last column is set on two lines, and no cell
    wraps = wide - width > _HEAD_GIVES
    *others, last = table.columns
    columns = (*(GridColumn(is_right=one.is_right, wraps=wraps) for one in others), last)
    return Stack((text(fact.caption), Grid(columns=columns, rows=table.rows, has_head=True)))
