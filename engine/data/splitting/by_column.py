"""Splits that files or a column say. Equal texts in two of them are found by the leakage check."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from engine.data.row_index import SPAN, Assignment
from engine.data.splitting.groups import Chosen, Units, split_problem, take
from engine.data.splitting.recorded import (
    JUDGING,
    RecordedDivision,
    RecordedSplits,
)
from engine.errors import Problem
from engine.recipe.model import Size, Splits

_SOFTER: Final = "; `validation: 0` goes without, a number draws them from the training rows"


def divide_placed(
    units: Units, splits: Splits, held: RecordedSplits | None = None
) -> tuple[Chosen, list[Problem]]:
    """Return the units of each split, and a problem for each that has no rows.

    A size takes so many of the rows that belong there; a validation split that no row belongs to is
    drawn from the training rows. Fractions are bounds on the rank, numbers the first rows by rank;
    with `held`, numbers take the recorded rows that still belong there.
    """
    assigned = {place: array("I") for place in Assignment}
    for unit in range(len(units)):
        assigned[Assignment(units.place(unit))].append(unit)
    problems: list[Problem] = []
    record = None if held is None else RecordedDivision(units=units, held=held, stratified=True)
    from_train = not len(assigned[Assignment.VALIDATION]) and splits.validation != "all"
    if from_train:
        assigned[Assignment.VALIDATION] = assigned[Assignment.TRAIN]
    chosen: Chosen = {}
    for place in (*JUDGING, Assignment.TRAIN):
        size, among = getattr(splits, place.split), assigned[place]
        if from_train and place is Assignment.TRAIN:
            drawn = set(chosen[Assignment.VALIDATION])
            among = array("I", (unit for unit in among if unit not in drawn))
        chosen[place] = _of(units, among, size, place, record)
        name, there = place.split, units.total(among)
        if isinstance(size, int) and size > there:
            message = f"{size:,} rows are needed for {name}, {there:,} belong there"
            problems.append(split_problem("D311", message, name, f"write `{name}: all`"))
        if size and not len(chosen[place]) and not problems:
            hint = f"name the rows of {name}{_SOFTER if name == 'validation' else ''}"
            problems.append(split_problem("D360", f"no row belongs to {name}", name, hint))
    return chosen, problems


def _of(
    units: Units,
    among: Sequence[int],
    size: Size,
    place: Assignment,
    record: RecordedDivision | None,
) -> Sequence[int]:
    """Return the units of a split."""
    if size == "all":
        return among
    if isinstance(size, float):
        # Through the decimal as written: 0.1 as a float is not a tenth, and ranks have 64 bits.
        bound = Fraction(str(size)) * SPAN
        return array("I", (unit for unit in among if units.position(unit) < bound))
    if record is None or size > units.total(among):
        return take(units, among, size, stratified=True)[0]
    if place is Assignment.TRAIN:
        return record.train(among, size)
    return record.keep(among, size, place)
