"""Rows that stay together: of one text, one group or one time; and drawing a number of them."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain
from typing import Final

import numpy as np

from engine.data.row_index import Assignment, Pool, starts
from engine.errors import Problem
from engine.recipe.model import BY_ORDER
from engine.values import Value


def stratify(units: Units, among: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
    """Return units for subsets of so many rows, each label in the proportion of the sizes."""
    left = list(sizes)
    total = units.total(among) or 1
    every = Counter(label for unit in among for label in units.stratum(unit))
    wanted = {label: [count * size / total for size in sizes] for label, count in every.items()}
    having: dict[str, list[int]] = defaultdict(list)
    for unit in among:
        for label in units.stratum(unit):
            having[label].append(unit)
    counts = {label: len(members) for label, members in having.items()}
    subsets: list[list[int]] = [[] for _ in sizes]
    done: set[int] = set()
    while any(counts.values()):
        # The rarest label first: its few rows can be spread only while every subset has room.
        rarest = min(
            (label for label in counts if counts[label]), key=lambda one: (counts[one], one)
        )
        for unit in having[rarest]:
            if unit not in done:
                _place(units, unit, wanted[rarest], left, subsets, wanted)
                done.add(unit)
                for label in units.stratum(unit):
                    counts[label] -= 1
        counts[rarest] = 0
    even = [float(size) for size in sizes]
    for unit in among:
        if unit not in done:  # rows without labels fill what is left
            _place(units, unit, even, left, subsets, wanted)
    return [sorted(subset) for subset in subsets]


def _place(
    units: Units,
    unit: int,
    wish: list[float],
    left: list[int],
    subsets: list[list[int]],
    wanted: dict[str, list[float]],
) -> None:
    """Put a unit where its label is wanted most, then where most room is, then in order."""
    size = units.size(unit)
    fits = [number for number in range(len(left)) if left[number] >= size]
    if not fits:
        return
    best = max(fits, key=lambda number: (wish[number], left[number], -number))
    subsets[best].append(unit)
    left[best] -= size
    for label in units.stratum(unit):
        wanted[label][best] -= 1


MANY_GROUPS: Final = 30
"""Groups that a split has at least, where there are enough small ones."""
Stratum = tuple[str, ...]
Chosen = dict[Assignment, Sequence[int]]


class Units(Value):
    """Units by number, in drawn order (by time: the latest first)."""

    pool: Pool
    rows: array[int]
    """The living rows, those of a unit beside each other."""
    starts: array[int]
    by: str
    """`text`, `group` or `time`."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, unit: int) -> array[int]:
        return self.rows[self.starts[unit] : self.starts[unit + 1]]

    def size(self, unit: int) -> int:
        return self.starts[unit + 1] - self.starts[unit]

    def position(self, unit: int) -> int:
        """Return its place between 0 and 2**64, which depends on its text or group alone."""
        row = self.rows[self.starts[unit]]
        return self.pool.unit[row] if self.by == "group" else self.pool.rank[row]

    def stratum(self, unit: int) -> Stratum:
        return self.pool.labels(self.rows[self.starts[unit]])

    def strata(self, units: Sequence[int]) -> Iterator[Stratum]:
        firsts = np.asarray(self.rows)[np.asarray(self.starts)[units]]
        return map(self.pool.strata.__getitem__, np.asarray(self.pool.stratum)[firsts].tolist())

    def labels(self, units: Sequence[int]) -> Counter[str]:
        """Return how many rows of some units have each label."""
        return Counter(chain.from_iterable(map(self.pool.labels, self.rows_of(units))))

    def place(self, unit: int) -> int:
        """Return the split that a file or column says its first row belongs to."""
        return self.pool.place[self.rows[self.starts[unit]]]

    def time(self, unit: int) -> float:
        return self.pool.time[self.rows[self.starts[unit]]]

    def rows_of(self, units: Iterable[int]) -> Iterator[int]:
        return chain.from_iterable(map(self.of, units))

    def total(self, units: Iterable[int]) -> int:
        if isinstance(units, Sized) and len(self) == len(self.rows):  # of one row each
            return len(units)
        return sum(map(self.size, units))


def split_problem(code: str, message: str, split: str = "", hint: str | None = None) -> Problem:
    path = f"splits.{split}" if split else "splits"
    return Problem(code=code, message=message, path=path, hint=hint)


def units_of(pool: Pool, by: str, *, is_held: bool = False) -> Units:
    """Return the living rows as units; `by` as in `Splits.by`."""
    rows = pool.living()
    values: list[Sequence[float]] = [pool.rank]
    what = "time" if by in BY_ORDER else by if by == "group" else "text"
    if by == "group":
        values = [pool.unit]
        rows = array("I", sorted(rows, key=pool.unit.__getitem__))
    elif what == "time":
        # Within one time, equal ranks are the same text: a unit is then what a record knows.
        values = [pool.time, pool.rank] if is_held else [pool.time]
        rows = array("I", sorted(rows, key=pool.time.__getitem__, reverse=True))
    elif pool.place:  # equal texts of different splits are units of their own
        values = [pool.rank, pool.place]
        rows = array("I", sorted(rows, key=pool.place.__getitem__))
    # A unit ends wherever one of the values changes.
    return Units(pool=pool, rows=rows, starts=starts(rows, *values), by=what)


def apportion(total: int, weights: Mapping[Stratum, int]) -> dict[Stratum, int]:
    """Return `total` divided in proportion to whole `weights` by largest remainder, ties by name."""
    everything = sum(weights.values())
    if not everything:
        return dict.fromkeys(weights, 0)
    shares = {name: total * weight // everything for name, weight in weights.items()}
    # Whole numbers only: a float remainder could break ties differently on another machine.
    by_remainder = sorted(weights, key=lambda name: (-(total * weights[name] % everything), name))
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def take(
    units: Units, among: Sequence[int], rows: int, *, stratified: bool
) -> tuple[Sequence[int], Sequence[int]]:
    """Return units of `rows` rows drawn from `among`, and the others; both in drawn order.

    Stratified, each set of labels gets its share. Units that do not fit are passed over, so fewer
    rows come out where units are large; groups come as near as one more group can bring them.
    """
    if rows >= units.total(among):
        return among, []
    if units.by == "group":
        taken = _many_groups(units, among, rows)
        # One more group, where that brings the size nearer to what was asked for.
        missing, others = rows - units.total(taken), _without(among, taken)
        smallest = min(others, key=lambda unit: (units.size(unit), unit), default=0)
        taken += [smallest] if others and units.size(smallest) < 2 * missing else []
        return sorted(taken), _without(among, taken)
    strata: Mapping[Stratum, Sequence[int]] = {(): among}
    if stratified:
        found: dict[Stratum, list[int]] = defaultdict(list)
        for unit, stratum in zip(among, units.strata(among), strict=True):
            found[stratum].append(unit)
        strata = found
    weights = {stratum: units.total(members) for stratum, members in strata.items()}
    taken = []
    for stratum, share in apportion(rows, weights).items():
        taken += _fitting(units, strata[stratum], share)
    return sorted(taken), _without(among, taken)


def _without(among: Sequence[int], taken: Iterable[int]) -> list[int]:
    out = set(taken)
    return [unit for unit in among if unit not in out]


def _many_groups(units: Units, among: Sequence[int], rows: int) -> list[int]:
    """Return groups of up to `rows` rows: so small that there are many, and the labels in equal shares if possible.

    The bound on their size is doubled where smaller groups are used up, and labels that have their share are taken
    only with more rows of others.
    """
    labels, total = {unit: units.labels([unit]) for unit in among}, units.total(among)
    every = units.labels(among).items()
    room = Counter({label: -(-count * rows // total) for label, count in every})
    taken: list[int] = []
    largest, left, waiting = max(1, rows // MANY_GROUPS), rows, list(among)
    while left and largest <= rows:
        for quarters in (4, 3):  # of a group's rows, those of labels that are still wanted
            passed = []
            for unit in waiting:
                size, own = units.size(unit), labels[unit]
                if size > min(largest, left) or 4 * (own & room).total() < quarters * own.total():
                    passed.append(unit)
                    continue
                taken.append(unit)
                left -= size
                room -= own
            waiting = passed
        largest = rows if largest < rows < 2 * largest else 2 * largest
    return [*taken, *_fitting(units, waiting, left)]


def _fitting(units: Units, among: Iterable[int], rows: int) -> Iterator[int]:
    # In drawn order, not the best packing: which units are taken depends on their content alone.
    for unit in among:
        if not rows:
            return
        size = units.size(unit)
        if size <= rows:
            yield unit
            rows -= size
