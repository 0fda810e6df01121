"""Cross-validation: each row is held out once; fold 0 is the holdout of the model that ships."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction

from engine.data.reading.row import several
from engine.data.row_index import Assignment
from engine.data.splitting.groups import Chosen, Stratum, Units, split_problem, stratify, take
from engine.errors import Problem
from engine.recipe.model import Size, Splits

FEWEST = 2
"""Folds that are folds."""


def divide_by_fold(units: Units, splits: Splits) -> tuple[Chosen, bytearray, list[Problem]]:
    """Return the units of each split, the fold of each row, and problems when rows are too few.

    Folds differ by as few rows as whole units allow; stratified, each has the labels in equal
    shares. Validation is drawn from the folds that train, then train from what is left.
    """
    is_stratified = splits.by == "stratified"
    problems = list(_too_few(units, splits.folds, stratified=is_stratified))
    if problems:
        return {}, bytearray(len(units.pool)), problems
    of_unit = _folds(units, splits.folds, stratified=is_stratified)
    folds = bytearray(len(units.pool))
    for unit, fold in of_unit.items():
        for row in units.of(unit):
            folds[row] = fold
    holdout = [unit for unit in range(len(units)) if of_unit[unit] == 0]
    left: Sequence[int] = [unit for unit in range(len(units)) if of_unit[unit] != 0]
    chosen: Chosen = {Assignment.HOLDOUT: holdout}
    for place in (Assignment.VALIDATION, Assignment.TRAIN):
        is_last, name, there = place is Assignment.TRAIN, place.split, units.total(left)
        rows = _rows(getattr(splits, name), units, there, last=is_last)
        if rows > there:
            message = f"{rows:,} rows are needed for {name}, the other folds leave {there:,}"
            problems.append(split_problem("D311", message, name))
        chosen[place], left = take(units, left, rows, stratified=is_stratified)
    return chosen, folds, problems


def _rows(size: Size, units: Units, left: int, *, last: bool) -> int:
    if size == "all":
        return left if last else 0
    if isinstance(size, float):
        return min(round(Fraction(str(size)) * len(units.rows)), left)
    return size


def _folds(units: Units, folds: int, *, stratified: bool) -> dict[int, int]:
    if units.by == "group":
        return _level(units, folds)
    strata: dict[Stratum, list[int]] = defaultdict(list)
    for unit in range(len(units)):
        strata[units.stratum(unit) if stratified else ()].append(unit)
    if any(len(stratum) > 1 for stratum in strata):
        share, more = divmod(len(units.rows), folds)
        sizes = [share + (number < more) for number in range(folds)]
        subsets = stratify(units, range(len(units)), sizes)
        found = {unit: number for number, subset in enumerate(subsets) for unit in subset}
        # What fitted nowhere is dealt out: every row must be held out once.
        return {unit: found.get(unit, unit % folds) for unit in range(len(units))}
    # One stratum after the other, dealt in turn: each fold gets its share of every one.
    dealt = (unit for stratum in sorted(strata) for unit in strata[stratum])
    return {unit: number % folds for number, unit in enumerate(dealt)}


def _level(units: Units, folds: int) -> dict[int, int]:
    """Return the folds of whole groups: the largest first, each where the fewest rows and rows of its labels are."""
    every = units.labels(range(len(units))) + Counter({"": len(units.rows)})
    having = [Counter[str]() for _ in range(folds)]
    found: dict[int, int] = {}

    def crowd(fold: int, own: Counter[str]) -> tuple[int, int]:
        there = having[fold]
        # whole numbers, in parts of 2**32: floats could break ties differently on another machine
        return sum((rows * there[one] << 32) // every[one] for one, rows in own.items()), fold

    for unit in sorted(range(len(units)), key=lambda one: (-units.size(one), one)):
        own = units.labels([unit]) + Counter({"": units.size(unit)})
        _, found[unit] = min(crowd(fold, own) for fold in range(folds))
        having[found[unit]] += own
    return found


def _too_few(units: Units, folds: int, *, stratified: bool) -> Iterator[Problem]:
    if len(units) < folds:
        what = "groups" if units.by == "group" else "different texts"
        message = f"{folds} folds need {folds} {what}, there are {len(units)}"
        hint = f"`folds: {len(units)}` is the most" if len(units) > 1 else None
        yield split_problem("D363", message, "folds", hint)
        return
    labels = Counter(label for unit in range(len(units)) for label in units.stratum(unit))
    for label, count in sorted(labels.items()):
        if stratified and count < folds:
            fewer = f", or write `folds: {count}`" if count >= FEWEST else ""
            message = f"label `{label}` has {several(count, 'text')}, {folds} folds need {folds}"
            hint = f"add {several(folds - count, 'row')} of that label{fewer}"
            yield split_problem("D362", message, "folds", hint)
