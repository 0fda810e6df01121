"""Dividing rows where a holdout is already recorded: it keeps its rows, new rows go to training."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final, cast

from engine.data.examples.example import content_key
from engine.data.membership import KEY_BYTES, RECORDED_ROWS, Membership, RecordedName, record
from engine.data.row_index import Assignment, Pool
from engine.data.splitting.groups import Chosen, Units, take
from engine.evidence import Recorded
from engine.recipe.model import Size
from engine.values import Value

JUDGING: Final = (Assignment.HOLDOUT, Assignment.VALIDATION)
"""In the order in which they are drawn."""
FRESH: Final = 255


class RecordedSplits(Value):
    known: Mapping[int, int]
    """`Pool.identity` to the `Assignment` that is recorded for it."""
    is_whole: bool
    """Every row was recorded, so that those which are not are new."""

    def of(self, key: int) -> int:
        return self.known.get(key, FRESH)

    def gone(self, present: Iterable[int]) -> Counter[int]:
        """Return how many identities of each recorded split are no longer there."""
        there = set(present)
        return Counter(place for key, place in self.known.items() if key not in there)


def held_by(recorded: Membership) -> RecordedSplits:
    """Return the record by key; a text that stands in two splits counts for the stricter one."""
    known: dict[int, int] = {}
    # The strictest split comes last and overwrites: `Assignment` is in that order.
    for place in Assignment:
        for key in recorded.members.get(_name(place), ()):
            known[int.from_bytes(key)] = place
    return RecordedSplits(known=known, is_whole="train" in recorded.members)


def _name(place: Assignment) -> RecordedName:
    return cast("RecordedName", place.split)


def know_again(pool: Pool, held: RecordedSplits) -> None:
    """Find the rows that were recorded before their texts were masked, or while they were: they are the same rows."""
    if pool.unit:
        return
    from engine.data.checks.rows.personal_data import (
        masked,  # a plan without rows skips its patterns
    )

    there = {pool.identity(row) for row in range(len(pool))}
    gone = held.known.keys() - there
    fresh = [row for row in range(len(pool)) if gone and held.of(pool.identity(row)) == FRESH]
    for row in fresh:
        key = pool.unmasked.get(row)
        if key is None:
            key = int.from_bytes(content_key(masked(pool.input[row]))[:KEY_BYTES])
        if (identity := pool.identity_as(key, row)) in gone:
            pool.known_as[row] = identity


class RecordedDivision(Value, dict=True):
    units: Units
    held: RecordedSplits
    stratified: bool

    @cached_property
    def gone(self) -> Mapping[int, int]:
        """Recorded identities that are no longer there, by the place recorded for them."""
        return self.held.gone(self.units.pool.identity(row) for row in self.units.rows)

    @cached_property
    def slack(self) -> int:
        """Rows by which whole units can miss a size; a split that misses it by more has a new size."""
        units = self.units
        sizes: Iterable[int] = map(units.size, range(len(units)))
        if units.by == "time":
            sizes = Counter(units.pool.time[row] for row in units.rows).values()
        largest = max(sizes, default=1)
        strata = {units.stratum(unit) for unit in range(len(units))} if self.stratified else {()}
        if largest > 1 and any(len(stratum) > 1 for stratum in strata):
            return len(units.rows)  # iterative stratification gives no bound
        return (largest - 1) * len(strata)

    def keep(self, among: Sequence[int], size: Size, place: Assignment) -> list[int]:
        """Return the units of holdout or validation: the recorded ones, as long as they are there.

        What is missing because recorded rows are gone, or because the number for validation was
        raised, is drawn from new rows first, then from rows that were in no split, then from
        recorded training rows. Where that number was lowered, the rest is given back.
        """
        by_place = self.by_place(among)
        chosen = by_place.get(place, [])
        if size == "all":
            return chosen
        recorded = self.held.known.values()
        rows = sum(known == place for known in recorded) if isinstance(size, float) else size
        missing = rows - self.units.total(chosen)
        # Groups grow and times stay together: what they miss says nothing about a new size.
        can_change = self.units.by == "text"
        is_changed = place is Assignment.VALIDATION and isinstance(size, int) and can_change
        if is_changed and -missing > self.slack:
            return list(self.draw(chosen, rows))
        if not self.gone.get(place) and not (is_changed and missing > self.slack):
            return chosen
        # Training rows come last: earlier models have learned them.
        for others in (FRESH, Assignment.NONE, Assignment.TRAIN):
            chosen = self.filled(chosen, by_place.get(others, []), rows)
        return chosen

    def train(self, among: Sequence[int], size: Size) -> Sequence[int]:
        if size == "all":
            return among
        rows = int(size)
        if not self.held.is_whole:
            return self.draw(among, rows)
        by_place = self.by_place(among)
        chosen = by_place.get(Assignment.TRAIN, [])
        if self.units.total(chosen) - rows > self.slack:
            return self.draw(chosen, rows)
        chosen = self.filled(chosen, by_place.get(FRESH, []), rows)
        if self.gone.get(Assignment.TRAIN) or rows - self.units.total(chosen) > self.slack:
            chosen = self.filled(chosen, by_place.get(Assignment.NONE, []), rows)
        return chosen

    def filled(self, chosen: Sequence[int], others: Sequence[int], rows: int) -> list[int]:
        """Return the chosen units and as many of the others as are missing in so many rows."""
        return sorted([*chosen, *self.draw(others, rows - self.units.total(chosen))])

    def by_place(self, among: Iterable[int]) -> dict[int, list[int]]:
        """Return units by the strictest place that is recorded for their rows, FRESH where none is."""
        found: dict[int, list[int]] = {}
        for unit in among:
            places = [self.held.of(self.units.pool.identity(row)) for row in self.units.of(unit)]
            known = max((place for place in places if place != FRESH), default=FRESH)
            found.setdefault(known, []).append(unit)
        return found

    def draw(self, among: Sequence[int], rows: int) -> Sequence[int]:
        return take(self.units, among, rows, stratified=self.stratified)[0] if rows > 0 else ()


def divide_held(
    units: Units, sizes: Mapping[Assignment, Size], held: RecordedSplits, *, stratified: bool
) -> Chosen:
    """Return the units of each split as `RecordedDivision` says; no unit is in two."""
    record = RecordedDivision(units=units, held=held, stratified=stratified)
    judged = record.by_place(range(len(units)))
    left: Sequence[int] = range(len(units))
    divided: Chosen = {}
    for place in JUDGING:
        among = left
        if units.by == "time":
            among = _in_turn(units, left, judged.get(place, []), divided)
        divided[place] = record.keep(among, sizes[place], place)
        taken = set(divided[place])
        left = [unit for unit in left if unit not in taken]
    if units.by == "time":
        # The future stays unknown: rows that did not train and are later than what judges are left out.
        times = [units.time(unit) for chosen in divided.values() for unit in chosen]
        start = min(times, default=float("inf"))
        trained = set(record.by_place(left).get(Assignment.TRAIN, ()))
        left = [unit for unit in left if unit in trained or units.time(unit) < start]
    divided[Assignment.TRAIN] = record.train(left, sizes[Assignment.TRAIN])
    return divided


def _in_turn(
    units: Units, among: Sequence[int], judged: Sequence[int], later: Chosen
) -> Sequence[int]:
    """Leave out what is earlier than the split already is, or as late as a later split."""
    first = min(map(units.time, judged), default=float("-inf"))
    end = min(
        (units.time(unit) for split in later.values() for unit in split), default=float("inf")
    )
    own = set(judged)
    return [unit for unit in among if unit in own or first <= units.time(unit) < end]


def membership(pool: Pool, drawn: bytes, places: Sequence[int] | None = None) -> Membership:
    """Return the record of a division; training rows only where all rows together are few."""
    rows = pool.living()
    kept = Assignment if len(rows) <= RECORDED_ROWS else sorted(JUDGING)
    names: dict[int, RecordedName] = {place: _name(place) for place in kept}
    keys: dict[RecordedName, set[bytes]] = {name: set() for name in names.values()}
    used: dict[RecordedName, set[bytes]] = {name: set() for name in keys}
    for place, name in names.items():
        for row in (one for one in rows if drawn[one] == place):
            key = pool.identity(row).to_bytes(8)
            keys[name].add(key)
            if places is None or places[row] == drawn[row]:
                used[name].add(key)
    return record(keys, left_out={name: keys[name] - used[name] for name in keys})


def what_became(pool: Pool, places: Sequence[int], held: RecordedSplits) -> Recorded:
    """Return what a division did with the recorded holdout and with new rows."""
    rows = pool.living()
    holdout = [held.of(pool.identity(row)) for row in rows if places[row] == Assignment.HOLDOUT]
    kept = sum(place == Assignment.HOLDOUT for place in holdout)
    new = Counter(
        Assignment(places[row]).split for row in rows if held.of(pool.identity(row)) == FRESH
    )
    return Recorded(
        kept=kept,
        gone=held.gone(pool.identity(row) for row in rows)[Assignment.HOLDOUT],
        added=len(holdout) - kept,
        new_rows=dict(sorted(new.items())) if held.is_whole and not pool.unit else None,
    )
