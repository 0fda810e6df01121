"""Iterative stratification: splits of rows that have several labels each.

Sechidis, Tsoumakas and Vlahavas, On the stratification of multi-label data, ECML PKDD 2011. The
paper breaks ties at random; here the rank of the content and the order of the splits break them, so
that the same rows give the same splits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from engine.data.splitting.groups import Units


def stratify(units: Units, among: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
    """Return units for subsets of so many rows, each label in the proportion of the sizes.

    Subsets in the order of `sizes`. What fits nowhere is in none of them.
    """
    left = list(sizes)
    wanted = _wanted(units, among, sizes)
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


def _wanted(units: Units, among: Sequence[int], sizes: Sequence[int]) -> dict[str, list[float]]:
    """Return how many units of each label each subset still wants."""
    total = units.total(among) or 1
    counts = Counter(label for unit in among for label in units.stratum(unit))
    return {label: [count * size / total for size in sizes] for label, count in counts.items()}


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
