"""Validation rows that are drawn from the training rows, for a recipe that keeps its best checkpoint and gives none.

The holdout stands before anything is drawn here, so it is the same with and without.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from engine.data.row_index import Assignment
from engine.data.splitting.groups import Chosen, Units, split_problem, take
from engine.errors import Problem
from engine.recipe.methods import drawn_rows
from engine.recipe.model import BY_ORDER, FROM_TRAIN, Size, Splits
from engine.values import replace


def without_drawn(splits: Splits) -> Splits:
    """Return the splits before validation rows are drawn from train: without any."""
    return replace(splits, validation=0) if splits.validation == FROM_TRAIN else splits


def in_rows(splits: Splits, rows: int) -> Splits:
    """Return the splits with what is drawn from train in rows, where a record can hold them; else without any."""
    is_recorded = splits.by in BY_ORDER or isinstance(splits.holdout, int)
    if splits.validation != FROM_TRAIN or splits.by in ("files", "column") or not is_recorded:
        return without_drawn(splits)
    holdout = _rows(splits.holdout, rows)
    train = rows - holdout if splits.train == "all" else _rows(splits.train, rows)
    drawn = drawn_rows(max(train, 0))
    left = splits.train if splits.train == "all" else train - drawn
    return replace(splits, validation=drawn, train=left)


def _rows(size: Size, rows: int) -> int:
    """Return a size in rows, of so many."""
    return round(Fraction(str(size)) * rows) if isinstance(size, float) else int(size)


def draw_from_train(units: Units, chosen: Chosen, splits: Splits) -> list[Problem]:
    """Move validation units out of the training units, and return a problem where there are too few.

    Stratified where the split is; by time the latest.
    """
    train = chosen.get(Assignment.TRAIN, ())
    rows = units.total(train)
    if not rows:  # reported by the division itself
        return []
    validation: Sequence[int]
    left: Sequence[int]
    if units.by == "time":
        validation, left = _latest(units, train, drawn_rows(rows))
    else:
        is_stratified = splits.by in ("stratified", "files", "column")
        validation, left = take(units, train, drawn_rows(rows), stratified=is_stratified)
    if not len(validation) or not len(left):
        message = f"of {rows:,} training rows none can be set aside for validation"
        return [split_problem("D311", message, "validation", "write `method.keep: last`")]
    chosen[Assignment.VALIDATION], chosen[Assignment.TRAIN] = validation, left
    return []


def _latest(units: Units, among: Sequence[int], rows: int) -> tuple[list[int], list[int]]:
    """Return the latest units of about so many rows, those of equal times together, and the others."""
    drawn: list[int] = []
    for unit in among:
        is_same_time = bool(drawn) and units.time(unit) == units.time(drawn[-1])
        if units.total(drawn) >= rows and not is_same_time:
            break
        drawn.append(unit)
    return drawn, list(among[len(drawn) :])
