"""What a review says of generated pairs, beside what they are: both versions divided, and who judges compared."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.data.examples.example import normalised
from engine.errors import RecipeError
from engine.evidence.review import Gate, gate_of
from engine.lock.draw import needs_record, recorded_rows
from engine.lock.file import Lock, lock_path, write_lock
from engine.pipeline.data_outlook import divided
from engine.review.findings import judge
from engine.review.pairs import Versions
from engine.review.row_changes import RowDivider
from engine.review.version import Disk, Side, load_side
from engine.values import replace
from support.changed_data import Pair, Version
from support.recipe_pairs import made_lock

Judges = Mapping[str, Counter[str]]
"""The texts that judge, each with its answers."""
FOUND: Final = "found"
MISSED: Final = "missed"
STRONGER: Final = "called stronger"
TOO_MILD: Final = "called a redraw"
"""Rows are gone from the data, or have another answer, and the review says that others were drawn."""
QUIET: Final = "quiet"
FALSE_ALARM: Final = "false alarm"
LEFT_OUT: Final = "left out"
"""The change makes no other judges where it should, or others where it should not; or a run would refuse the data."""
WRONG: Final = (MISSED, STRONGER, TOO_MILD, FALSE_ALARM)


@dataclass(slots=True, kw_only=True)
class JudgedPairs:
    """Pairs written below a folder; old versions that are alike are written, read and divided once."""

    folder: Path
    _old: list[tuple[Version, bool, Side, Judges | None]] = field(default_factory=list)
    _rows: RowDivider = field(default_factory=lambda: RowDivider(room=10**9))
    _count: int = 0

    def outcome(self, pair: Pair, *, changes: bool) -> str:
        """Return what the review makes of a pair after which other rows shall judge (`changes`), or the same."""
        old, before = self._before(pair)
        try:
            new = self._written(pair.new, "new", old.lock)
        # Two edits together may name columns that are not there, or rows of different ones.
        except (RecipeError, ValueError):
            return LEFT_OUT
        after = judges(new)
        if before is None or after is None or (before != after) is not changes:
            return LEFT_OUT
        gate = gate_of(judge(Versions(old=old, new=new), self._rows)[0])
        if not changes:
            return FALSE_ALARM if gate in (Gate.WEAKER, Gate.REDRAWN) else QUIET
        if gate is Gate.REDRAWN:
            return FOUND if keeps_rows(pair) else TOO_MILD
        if gate is Gate.WEAKER:
            return FOUND
        return STRONGER if gate is Gate.STRONGER else MISSED

    def _before(self, pair: Pair) -> tuple[Side, Judges | None]:
        for version, locked, side, found in self._old:
            if version == pair.old and locked == pair.locked:
                return side, found
        side = self._written(pair.old, "old", None)
        # Two edits together may make a file that is not read; then no run has left a lock.
        if pair.locked and judges(side) is not None:
            lock = made_lock(side.recipe)
            write_lock(lock_path(side.path), lock)
            side = replace(side, lock=lock)
        found = judges(side)
        self._old.append((pair.old, pair.locked, side, found))
        return side, found

    def _written(self, version: Version, name: str, lock: Lock | None) -> Side:
        self._count += 1
        path = version.write(self.folder / f"{name}-{self._count}")
        if lock is not None:
            write_lock(lock_path(path), lock)
        return load_side(path, Disk(), label=name)


def judges(side: Side) -> Judges | None:
    """Return who judges, as a run would divide the rows; None where it would refuse."""
    recipe, lock = side.recipe, side.drawing_lock
    # A lock of another draw holds nothing: the next run draws anew.
    holds = lock is not None and needs_record(recipe.splits)
    recorded = recorded_rows(recipe, lock) if lock is not None and holds else None
    prepared = divided(recipe, recorded, most_bytes=1_000_000, with_extras=True)
    if prepared is None:
        return None
    parts = (prepared.train, prepared.validation, prepared.holdout)
    found: dict[str, Counter[str]] = {}
    for part in parts if recipe.splits.folds else parts[2:]:
        for row in part:
            # Rejected answers, turns of a chat and further right answers judge too.
            answer = f"{row.target}\0{json.dumps(row.payload, sort_keys=True)}"
            found.setdefault(normalised(row.input), Counter())[answer] += 1
    return found


def keeps_rows(pair: Pair) -> bool:
    """Tell whether every row of the old files is in the new ones, and no new one contradicts or repeats it."""
    # A plain text is made of all its columns, the answer too.
    of_text = ("text", "topic", "other") if pair.old.kind == "text" else ("text",)
    old, new = (
        [
            (tuple(map(row.get, of_text)), row["topic"])
            for rows in one.files.values()
            for row in rows
        ]
        for one in (pair.old, pair.new)
    )
    come = Counter(new) - Counter(old)
    return set(old) <= set(new) and not {text for text, _ in come} & {text for text, _ in old}
