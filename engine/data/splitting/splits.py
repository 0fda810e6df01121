"""Dividing rows into train, validation and holdout by their content, never by their place.

Each text gets a rank from the seed and its normalised form: the order of rows and files does not matter, and texts that
count as the same never stand in two splits.

Sizes in rows are met exactly (where repeated texts, kept together, leave room): the holdout is drawn first, then
validation, then train; stratified, each split has the classes in the proportion of what is left (largest remainder;
several labels a row: iterative stratification). Sizes in fractions are bounds on the rank: adding rows moves no row
from one split to another, and a split of share p of n rows has p*n rows give or take 2*sqrt(n*p*(1-p)), two standard
deviations; classes then come out in proportion, not exactly. By time, sizes are numbers of the latest rows; equal times
stay together.
"""

from array import array
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np

from engine.data.row_index import SPAN, Assignment, Pool
from engine.data.splitting.folds import divide_by_fold
from engine.data.splitting.groups import Chosen, Units, split_problem, stratify, take, units_of
from engine.data.splitting.recorded import JUDGING, RecordedDivision, RecordedSplits, divide_held
from engine.errors import Problem
from engine.recipe.methods import drawn_rows
from engine.recipe.model import BY_ORDER, FROM_TRAIN, Size, SplitName, Splits
from engine.values import replace


def without_drawn(splits: Splits) -> Splits:
    return replace(splits, validation=0) if splits.validation == FROM_TRAIN else splits


def in_rows(splits: Splits, rows: int) -> Splits:
    is_recorded = splits.by in BY_ORDER or isinstance(splits.holdout, int)
    if splits.validation != FROM_TRAIN or splits.by in ("files", "column") or not is_recorded:
        return without_drawn(splits)
    holdout = _rows(splits.holdout, rows)
    train = rows - holdout if splits.train == "all" else _rows(splits.train, rows)
    drawn = drawn_rows(max(train, 0))
    left = splits.train if splits.train == "all" else train - drawn
    return replace(splits, validation=drawn, train=left)


def _rows(size: Size, rows: int) -> int:
    return round(Fraction(str(size)) * rows) if isinstance(size, float) else int(size)


def draw_from_train(units: Units, chosen: Chosen, splits: Splits) -> list[Problem]:
    """Move validation units out of the training units, and return a problem where there are too few."""
    train = chosen.get(Assignment.TRAIN, ())
    rows = units.total(train)
    if not rows:  # reported by the division itself
        return []
    validation: Sequence[int]
    left: Sequence[int]
    if units.by == "time":
        drawn: list[int] = []
        for unit in train:  # those of equal times together
            is_same_time = bool(drawn) and units.time(unit) == units.time(drawn[-1])
            if units.total(drawn) >= drawn_rows(rows) and not is_same_time:
                break
            drawn.append(unit)
        validation, left = drawn, train[len(drawn) :]
    else:
        is_stratified = splits.by in ("stratified", "files", "column")
        validation, left = take(units, train, drawn_rows(rows), stratified=is_stratified)
    if not len(validation) or not len(left):
        message = f"of {rows:,} training rows none can be set aside for validation"
        return [split_problem("D311", message, "validation", "write `method.keep: last`")]
    chosen[Assignment.VALIDATION], chosen[Assignment.TRAIN] = validation, left
    return []


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


ORDER: Final[tuple[SplitName, ...]] = ("holdout", "validation", "train")
DRAWN: Final = tuple(Assignment[name.upper()] for name in ORDER)
Sizes = Mapping[Assignment, Size]


@dataclass(slots=True)
class Division:
    """Where each row of the pool stands."""

    places: bytearray
    """A `Assignment` for each row; NONE for rows that were left out before."""
    drawn: bytes = b""
    """As `places`, before any row was left out because of its text: what is recorded."""
    folds: bytearray = field(default_factory=bytearray)
    """With folds: in which one each row is held out; empty without."""
    problems: list[Problem] = field(default_factory=list)
    dropped: dict[int, tuple[Assignment, str]] = field(default_factory=dict)
    """Rows that a check left out after the draw: where they stood, and which check it was."""
    replaced: int = 0
    """Training rows of these whose place an unused row took."""
    torn: int = 0
    """Rows left out because their text also stands in a split drawn before (by group, by time)."""

    def rows(self, pool: Pool, name: SplitName) -> array[int]:
        return pool.ordered(np.asarray(self.places) == Assignment[name.upper()])

    def leave_out(self, rows: Collection[int], check: str) -> int:
        """Take rows out of their splits because of a check; return how many they are."""
        for row in rows:
            self.dropped[row] = Assignment(self.places[row]), check
            self.places[row] = Assignment.NONE
        return len(rows)


def divide(pool: Pool, splits: Splits, held: RecordedSplits | None = None) -> Division:
    """Return the split of each living row, and problems when there are too few rows.

    Validation rows that are drawn from train are drawn last, so that the holdout is the same without them.

    With `held`, a recorded holdout keeps its rows; it applies to sizes in rows, and to time.
    """
    units = units_of(pool, splits.by, is_held=held is not None)
    asked = without_drawn(splits) if held is None else in_rows(splits, len(units.rows))
    chosen, division = _divided(units, asked, held)
    if splits.validation == FROM_TRAIN and not asked.validation:
        division.problems += draw_from_train(units, chosen, splits)
    for place, members in chosen.items():
        for row in units.rows_of(members):
            division.places[row] = place
    # Copied here: what checks leave out from now on was drawn all the same and stays recorded.
    division.drawn = bytes(division.places)
    if units.by != "text":
        # A text is in one split only: of copies the one in the holdout stays, then that in validation.
        places = division.places
        for start, end in pool.copies:
            rows = [row for row in pool.order[start:end] if places[row]]
            strictest = max((places[row] for row in rows), default=Assignment.NONE)
            for row in rows:
                if places[row] != strictest:
                    places[row] = Assignment.NONE
                    division.torn += 1
    return division


def _divided(units: Units, splits: Splits, held: RecordedSplits | None) -> tuple[Chosen, Division]:
    sizes: Sizes = {place: getattr(splits, place.split) for place in DRAWN}
    division = Division(places=bytearray(len(units.pool)))
    if splits.folds:
        chosen, division.folds, division.problems = divide_by_fold(units, splits)
    elif splits.by in ("files", "column"):
        chosen, division.problems = divide_placed(units, splits, held)
    elif any(isinstance(size, float) for size in sizes.values()) and splits.by not in BY_ORDER:
        chosen = _by_fraction(units, sizes)
    else:
        rows = _in_rows(sizes, len(units.rows))
        division.problems = _too_few(rows, len(units.rows))
        if division.problems:
            chosen = {}
        elif held is not None:
            # Other shares than that of train say how much was recorded.
            asked = {**sizes, Assignment.TRAIN: rows[Assignment.TRAIN]}
            chosen = divide_held(units, asked, held, stratified=splits.by == "stratified")
        else:
            chosen, sizes = _by_rows(units, rows, splits), rows
    for place, size in sizes.items() if held is None and not division.problems else ():
        if size and not len(chosen[place]):
            message = f"{size} of {len(units.rows):,} rows leaves none for {place.split}"
            division.problems.append(split_problem("D311", message, place.split))
    return chosen, division


def _in_rows(sizes: Sizes, rows: int) -> Sizes:
    """Return fractions as rows (by time there are no other sizes), rounded at each cut."""
    found = dict(sizes)
    upper = Fraction(0)
    for place, size in sizes.items():
        if isinstance(size, float):
            lower, upper = upper, upper + Fraction(str(size))
            # Cuts are rounded, not sizes: rounded sizes could add up to more rows than there are.
            found[place] = round(upper * rows) - round(lower * rows)
    return found


def _by_rows(units: Units, sizes: Sizes, splits: Splits) -> Chosen:
    is_stratified = splits.by == "stratified"
    if units.by == "time":
        return _by_time(units, sizes)
    if is_stratified and any(len(stratum) > 1 for stratum in units.strata(range(len(units)))):
        return _iteratively(units, sizes)
    left: Sequence[int] = range(len(units))
    chosen: Chosen = {}
    for place, size in sizes.items():
        rows = units.total(left) if size == "all" else int(size)
        chosen[place], left = take(units, left, rows, stratified=is_stratified)
    return chosen


def _iteratively(units: Units, sizes: Sizes) -> Chosen:
    """Stratify rows of several labels; what no split asks for is a subset of its own."""
    rest = len(units.rows) - sum(int(size) for size in sizes.values() if size != "all")
    counts = [rest if size == "all" else int(size) for size in sizes.values()]
    spare = [] if "all" in sizes.values() else [rest]
    subsets = stratify(units, range(len(units)), [*counts, *spare])
    chosen: Chosen = dict(zip(sizes, subsets, strict=False))
    for place, size in sizes.items():
        if size == "all":  # what fits in no subset is left, too
            others = {unit for other in sizes if other != place for unit in chosen[other]}
            chosen[place] = [unit for unit in range(len(units)) if unit not in others]
    return chosen


def _by_time(units: Units, sizes: Sizes) -> Chosen:
    chosen: Chosen = {}
    at = 0
    for place, size in sizes.items():
        end, rows = at, 0
        while end < len(units) and (size == "all" or rows < int(size)):
            more = units.size(end)
            if size != "all" and rows and rows + more - int(size) > int(size) - rows:
                break
            rows += more
            end += 1
        chosen[place] = range(at, end)
        at = end
    return chosen


def _by_fraction(units: Units, sizes: Sizes) -> Chosen:
    bounds: list[int] = []
    upper = Fraction(0)
    for size in sizes.values():
        upper = Fraction(1) if size == "all" else upper + Fraction(str(size))
        # Whole numbers, rounded up: a float has 53 bits and would put ranks beside the cut into the other split.
        bounds.append(-(-upper.numerator * SPAN // upper.denominator))
    # The last part is what no split asks for.
    parts = [array("I") for _ in range(len(bounds) + 1)]
    for unit in range(len(units)):
        parts[bisect_right(bounds, units.position(unit))].append(unit)
    return dict(zip(sizes, parts, strict=False))


def _too_few(sizes: Sizes, rows: int) -> list[Problem]:
    asked = {place.split: 1 if size == "all" else int(size) for place, size in sizes.items()}
    needed = sum(asked.values())
    if needed <= rows:
        return []
    parts = " + ".join(f"{asked[name]:,} {name}" for name in reversed(ORDER))
    spare = rows - asked["holdout"] - asked["validation"]
    message = f"{needed:,} rows are needed ({parts}), there are {rows:,}"
    hint = f"`splits.train: {spare}` would fit" if spare > 0 else None
    if sizes.get(Assignment.TRAIN) == "all" and rows // 10:
        left = rows - rows // 4 - rows // 10
        hint = f"`holdout: {rows // 4}, validation: {rows // 10}` would leave {left:,} to train on"
    return [split_problem("D311", message, hint=hint)]
