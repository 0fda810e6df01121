"""Splits that files or a column say. Equal texts in two of them are found by the leakage check."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from fractions import Fraction

from engine.data.row_index import Assignment
from engine.data.splitting.groups import Units, take
from engine.data.splitting.recorded import (
    JUDGING,
    RecordedDivision,
    RecordedSplits,
    recorded_division,
)
from engine.errors import Problem
from engine.recipe.model import Size, Splits

UNIT = 1 << 64


def divide_placed(
    units: Units, splits: Splits, held: RecordedSplits | None = None
) -> tuple[dict[Assignment, Sequence[int]], list[Problem]]:
    """Return the units of each split, and a problem for each that has no rows.

    A size takes so many of the rows that belong there; a validation split that no row belongs to is
    drawn from the training rows. Fractions are bounds on the rank, numbers the first rows by rank;
    with `held`, numbers take the recorded rows that still belong there.
    """
    assigned = {place: array("I") for place in Assignment}
    for unit in range(len(units)):
        assigned[Assignment(units.place(unit))].append(unit)
    problems: list[Problem] = []
    record = None if held is None else recorded_division(units, held, stratified=True)
    from_train = not len(assigned[Assignment.VALIDATION]) and splits.validation != "all"
    if from_train:
        assigned[Assignment.VALIDATION] = assigned[Assignment.TRAIN]
    chosen: dict[Assignment, Sequence[int]] = {}
    for name, place in JUDGING.items():
        size = getattr(splits, name)
        chosen[place] = _of(units, assigned[place], size, place, problems, record)
    if from_train:
        drawn = set(chosen[Assignment.VALIDATION])
        assigned[Assignment.TRAIN] = array(
            "I", (one for one in assigned[Assignment.TRAIN] if one not in drawn)
        )
    among = assigned[Assignment.TRAIN]
    chosen[Assignment.TRAIN] = _of(units, among, splits.train, Assignment.TRAIN, problems, record)
    return chosen, problems


def _of(
    units: Units,
    among: Sequence[int],
    size: Size,
    place: Assignment,
    problems: list[Problem],
    record: RecordedDivision | None,
) -> Sequence[int]:
    """Return the units of a split; add a problem when there are too few."""
    name, there = place.name.lower(), units.total(among)
    chosen: Sequence[int]
    if size == "all":
        chosen = among
    elif isinstance(size, float):
        # Through the decimal as written: 0.1 as a float is not a tenth, and ranks have 64 bits.
        bound = Fraction(str(size)) * UNIT
        chosen = array("I", (unit for unit in among if units.position(unit) < bound))
    else:
        if size > there:
            problems.append(_short(name, size, there))
        if record is None or size > there:
            chosen, _ = take(units, among, size, stratified=True)
        elif place is Assignment.TRAIN:
            chosen = record.train(among, size)
        else:
            chosen = record.keep(among, size, place)
    if size and not len(chosen) and not problems:
        problems.append(_none(name))
    return chosen


def _short(name: str, size: int, there: int) -> Problem:
    return Problem(
        code="D311",
        message=f"{size:,} rows are needed for {name}, {there:,} belong there",
        path=f"splits.{name}",
        hint=f"write `{name}: all`",
    )


def _none(name: str) -> Problem:
    softer = "; `validation: 0` goes without, a number draws them from the training rows"
    return Problem(
        code="D360",
        message=f"no row belongs to {name}",
        path=f"splits.{name}",
        hint=f"name the rows of {name}{softer if name == 'validation' else ''}",
    )
