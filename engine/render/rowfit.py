"""Rows that were left out or cut for their length, and rows that are too long to be read, in words and in cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.evidence import SplitLengths
from engine.render.quantities import DASH, count

COLUMNS = ("split", "rows of data", "used", "left out", "cut", "longest", "longer than the window")


def row_lines(lengths: Sequence[SplitLengths]) -> list[str]:
    """Return a sentence for each split of which rows are left out, cut or too long; none where all fit."""
    return [f"{one.split}: {', '.join(told)}" for one in lengths if (told := list(_told(one)))]


def row_cells(one: SplitLengths) -> list[str]:
    """Return the cells of a split, as `COLUMNS` names them."""
    return [
        one.split,
        count(one.given),
        count(one.used),
        count(one.left_out + one.left_out_marked),
        count(one.cut),
        f"{count(one.longest)} tokens",
        DASH if one.window is None else f"{count(one.over_window)} of {count(one.window)}",
    ]


def _told(one: SplitLengths) -> Iterator[str]:
    of = f"of {count(one.given)} rows"
    longer = f"longer than {count(one.max_length)} tokens"
    if one.left_out:
        yield f"{count(one.left_out)} {of} left out, {longer}"
    if one.left_out_marked:
        yield f"{count(one.left_out_marked)} {of} left out, with tokens of the chat template"
    if one.cut:
        yield f"{count(one.cut)} {of} cut, {longer}"
    if one.over_max_length:
        yield f"{count(one.over_max_length)} {of} asked whole, {longer}"
    if one.over_window:
        window = count(one.window or 0)
        yield f"{count(one.over_window)} longer than the {window} tokens that the base model reads"
