"""Unused rows in the place of training rows that a check dropped after the draw.

Only train is refilled, and only to a number of rows: nothing enters or leaves what judges. A replacement is drawn as
train itself is, from rows that are in no split and that no check would drop. It is recorded as drawn and the row that
it replaces as unused, so that dividing again with the record gives the same splits. By group a record knows groups and
not their rows, so nothing is replaced there.
"""

from collections.abc import Container, Iterator, Sequence

from engine.data.checks.findings import Preparation
from engine.data.membership import may_replace
from engine.data.row_index import Assignment, Pool
from engine.data.similarity.near import leaks
from engine.data.splitting.groups import Units, take, units_of
from engine.data.splitting.recorded import FRESH, RecordedDivision
from engine.data.splitting.splits import Division

PREFERRED = (Assignment.TRAIN, FRESH, Assignment.NONE)
"""Recorded places of rows that may be drawn, in the order of `RecordedDivision.train`."""


def replace_dropped(work: Preparation, division: Division, doubted: Container[int]) -> None:
    asked, pool = work.splits.train, work.pool
    if not may_replace(work.data, work.splits):
        return
    dropped = [row for row, (place, _) in division.dropped.items() if place is Assignment.TRAIN]
    if not isinstance(asked, int) or division.problems:
        return
    missing = min(len(dropped), asked - len(division.rows(pool, "train")))
    if missing <= 0:
        return
    drawn = bytearray(division.drawn)
    for row in _replacements(work, division, doubted, missing):
        division.places[row] = drawn[row] = Assignment.TRAIN
        division.replaced += 1
    for row in dropped[: division.replaced]:
        drawn[row] = Assignment.NONE
    division.drawn = bytes(drawn)
    work.findings.take_back("in no split", division.replaced)


def _replacements(
    work: Preparation, division: Division, doubted: Container[int], missing: int
) -> Iterator[int]:
    """Yield unused rows, whole units of them, until so many are found or none is left."""
    units = units_of(work.pool, work.splits.by, is_held=work.held is not None)
    is_stratified = work.splits.by in ("stratified", "files", "column")
    holdout = division.rows(work.pool, "holdout")
    judged = [work.pool.input[row] for row in holdout]
    for among in _candidates(work, division, units, doubted):
        left: Sequence[int] = among
        while missing > 0 and left:
            chosen, left = take(units, left, missing, stratified=is_stratified)
            if not chosen:
                break
            for unit in _apart(work.pool, units, chosen, judged):
                missing -= units.size(unit)
                yield from units.of(unit)


def _candidates(
    work: Preparation, division: Division, units: Units, doubted: Container[int]
) -> Iterator[Sequence[int]]:
    """Yield the units that train may take, those that are preferred first."""
    pool = work.pool
    judging = [row for row in range(len(pool)) if division.places[row] > Assignment.TRAIN]
    texts = {pool.rank[row] for row in judging}
    first = min((pool.time[row] for row in judging if pool.time), default=float("inf"))

    def is_free(unit: int) -> bool:
        rows = units.of(unit)
        # The future stays unknown, a file or column says what trains, and fold 0 judges.
        if pool.time and units.time(unit) >= first:
            return False
        if pool.place and units.place(unit) != Assignment.TRAIN:
            return False
        if division.folds and not division.folds[rows[0]]:
            return False
        return not any(
            division.drawn[row] or row in doubted or pool.rank[row] in texts for row in rows
        )

    free = [unit for unit in range(len(units)) if is_free(unit)]
    if work.held is None:
        yield free
        return
    record = RecordedDivision(units=units, held=work.held, stratified=False)
    by_place = record.by_place(free)
    yield from (by_place.get(place, []) for place in PREFERRED)


def _apart(pool: Pool, units: Units, chosen: Sequence[int], judged: Sequence[str]) -> Iterator[int]:
    """Yield the units of which no row reads like a judged one, whatever the check of that does with what it finds."""
    texts = ((row, pool.input[row]) for unit in chosen for row in units.of(unit))
    near = {match.other for match in leaks(judged, texts)} if judged else set[int]()
    yield from (unit for unit in chosen if near.isdisjoint(units.of(unit)))
