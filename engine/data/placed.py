"""Splits that files or a column say. Equal texts in two of them are found by the leakage check."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from fractions import Fraction

from engine.data.pool import Place
from engine.data.units import Units, take
from engine.errors import Problem
from engine.recipe.model import Size, SplitName, Splits

UNIT = 1 << 64


def divide_placed(units: Units, splits: Splits) -> tuple[dict[Place, Sequence[int]], list[Problem]]:
    """Return the units of each split, and a problem for each that has no rows.

    A size takes so many of the rows that belong there; a validation split that no row belongs to is
    drawn from the training rows. Fractions are bounds on the rank, numbers the first rows by rank.
    """
    said = {place: array("I") for place in Place}
    for unit in range(len(units)):
        said[Place(units.place(unit))].append(unit)
    problems: list[Problem] = []
    chosen: dict[Place, Sequence[int]] = {}
    chosen[Place.HOLDOUT], _ = _of(units, said[Place.HOLDOUT], splits.holdout, "holdout", problems)
    train: Sequence[int] = said[Place.TRAIN]
    if len(said[Place.VALIDATION]) or splits.validation == "all":
        among = said[Place.VALIDATION]
        chosen[Place.VALIDATION], _ = _of(units, among, splits.validation, "validation", problems)
    else:
        chosen[Place.VALIDATION], train = _of(
            units, train, splits.validation, "validation", problems
        )
    chosen[Place.TRAIN], _ = _of(units, train, splits.train, "train", problems)
    return chosen, problems


def _of(
    units: Units, among: Sequence[int], size: Size, name: SplitName, problems: list[Problem]
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the units of a split and the others; add a problem when there are too few."""
    there = units.total(among)
    chosen: Sequence[int]
    left: Sequence[int]
    if size == "all":
        chosen, left = among, array("I")
    elif isinstance(size, float):
        bound = Fraction(str(size)) * UNIT
        chosen = array("I", (unit for unit in among if units.position(unit) < bound))
        left = array("I", (unit for unit in among if units.position(unit) >= bound))
    else:
        chosen, left = take(units, among, size, stratified=True)
        if size > there:
            problems.append(_short(name, size, there))
    if size and not len(chosen) and not problems:
        problems.append(_none(name))
    return chosen, left


def _short(name: SplitName, size: int, there: int) -> Problem:
    return Problem(
        code="D311",
        message=f"{size:,} rows are needed for {name}, {there:,} belong there",
        path=f"splits.{name}",
        hint=f"write `{name}: all`",
    )


def _none(name: SplitName) -> Problem:
    softer = "; `validation: 0` goes without, a number draws them from the training rows"
    return Problem(
        code="D360",
        message=f"no row belongs to {name}",
        path=f"splits.{name}",
        hint=f"name the rows of {name}{softer if name == 'validation' else ''}",
    )
