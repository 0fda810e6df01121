"""Dividing rows where a holdout is already recorded: it keeps its rows, new rows go to training.

Dividing again with the result as the record gives the same result.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.data.pool import Place, Pool
from engine.data.recorded import RECORDED_ROWS, Membership, RecordedName, record
from engine.data.units import Units, take
from engine.evidence import Recorded
from engine.recipe.model import Size, SplitName

NAMES: Final[Mapping[RecordedName, Place]] = {
    "none": Place.NONE,
    "train": Place.TRAIN,
    "validation": Place.VALIDATION,
    "holdout": Place.HOLDOUT,
}
JUDGING: Final[Mapping[SplitName, Place]] = {
    "holdout": Place.HOLDOUT,
    "validation": Place.VALIDATION,
}
FRESH: Final = 255
"""In no record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A record, read for one pool."""

    known: Mapping[int, int]
    """`Pool.identity` to the `Place` that is recorded for it."""
    is_whole: bool
    """Every row was recorded, so that those which are not are new."""

    def of(self, key: int) -> int:
        """Return the recorded place of an identity, or FRESH."""
        return self.known.get(key, FRESH)

    def gone(self, present: Iterable[int]) -> Counter[int]:
        """Return how many identities of each recorded split are no longer there."""
        there = set(present)
        return Counter(place for key, place in self.known.items() if key not in there)


def held_by(recorded: Membership) -> Held:
    """Return the record by key; a text that stands in two splits counts for the stricter one."""
    known: dict[int, int] = {}
    for name, place in NAMES.items():
        for key in recorded.members.get(name, ()):
            known[int.from_bytes(key)] = place
    return Held(known=known, is_whole="train" in recorded.members)


def divide_held(
    units: Units, sizes: Mapping[SplitName, Size], held: Held, *, stratified: bool
) -> dict[Place, Sequence[int]]:
    """Return the units of each split: the recorded ones, and others where some are gone or new.

    What is missing from holdout and validation because recorded rows are gone is drawn from new
    rows first, then from rows that were in no split, then from recorded training rows.
    """
    by_place: dict[int, list[int]] = {}
    for unit in range(len(units)):
        by_place.setdefault(_recorded(units, unit, held), []).append(unit)
    gone = held.gone(units.pool.identity(row) for row in units.rows)
    divided: dict[Place, Sequence[int]] = {}
    for name, place in JUDGING.items():
        chosen = by_place.pop(place, [])
        size = sizes[name]
        missing = int(size) - units.total(chosen) if gone[place] and size != "all" else 0
        for others in (FRESH, Place.NONE, Place.TRAIN):
            got, left = _draw(units, by_place.get(others, []), missing, stratified=stratified)
            by_place[others] = list(left)
            chosen = sorted([*chosen, *got])
            missing -= units.total(got)
        divided[place] = chosen
    if units.by == "time":
        for others in (FRESH, Place.NONE):
            by_place[others] = _not_later(units, by_place.get(others, []), divided)
    divided[Place.TRAIN] = _train(units, by_place, sizes["train"], held, gone, stratified)
    return divided


def _recorded(units: Units, unit: int, held: Held) -> int:
    """Return the strictest recorded place of a unit's rows; FRESH when none is recorded."""
    places = [held.of(units.pool.identity(row)) for row in units.of(unit)]
    return max((place for place in places if place != FRESH), default=FRESH)


def _draw(
    units: Units, among: Sequence[int], rows: int, *, stratified: bool
) -> tuple[Sequence[int], Sequence[int]]:
    return take(units, among, rows, stratified=stratified) if rows > 0 else ([], among)


def _not_later(
    units: Units, fresh: Iterable[int], divided: Mapping[Place, Sequence[int]]
) -> list[int]:
    """Leave out new rows that are later than what judges: training must not know the future."""
    judged = [units.time(unit) for chosen in divided.values() for unit in chosen]
    first = min(judged, default=float("inf"))
    return [unit for unit in fresh if units.time(unit) < first]


def _train(
    units: Units,
    by_place: Mapping[int, Sequence[int]],
    size: Size,
    held: Held,
    gone: Mapping[int, int],
    stratified: bool,  # noqa: FBT001
) -> Sequence[int]:
    left = {place: by_place.get(place, []) for place in (Place.TRAIN, FRESH, Place.NONE)}
    everything = sorted(unit for among in left.values() for unit in among)
    if size == "all":
        return everything
    if not held.is_whole:
        return _draw(units, array("I", everything), int(size), stratified=stratified)[0]
    chosen = list(left[Place.TRAIN])
    spare = (FRESH, Place.NONE) if gone.get(Place.TRAIN) else (FRESH,)
    for place in spare:
        missing = int(size) - units.total(chosen)
        chosen += _draw(units, left[place], missing, stratified=stratified)[0]
    return sorted(chosen)


def membership(pool: Pool, places: Sequence[int]) -> Membership:
    """Return the record of a division; training rows only where all rows together are few."""
    rows = pool.living()
    names = {place: name for name, place in NAMES.items()}
    kept = set(names) if len(rows) <= RECORDED_ROWS else {Place.VALIDATION, Place.HOLDOUT}
    keys: dict[RecordedName, set[bytes]] = {names[place]: set() for place in sorted(kept)}
    for row in rows:
        place = Place(places[row])
        if place in kept:
            keys[names[place]].add(pool.identity(row).to_bytes(8))
    return record(keys)


def what_became(pool: Pool, places: Sequence[int], held: Held) -> Recorded:
    """Return what a division did with the recorded holdout and with new rows.

    By group the record knows groups, not rows: how many rows of a known group are new is unknown.
    """
    rows = pool.living()
    names = {place: name for name, place in NAMES.items()}
    holdout = [held.of(pool.identity(row)) for row in rows if places[row] == Place.HOLDOUT]
    kept = sum(place == Place.HOLDOUT for place in holdout)
    new = Counter(names[Place(places[row])] for row in rows if held.of(pool.identity(row)) == FRESH)
    return Recorded(
        kept=kept,
        gone=held.gone(pool.identity(row) for row in rows)[Place.HOLDOUT],
        added=len(holdout) - kept,
        new_rows=dict(sorted(new.items())) if held.is_whole and not pool.unit else None,
    )
