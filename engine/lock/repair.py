"""Repairing a lock whose recorded rows cannot be read, without a new draw of the holdout.

Three sources, the best first: a data artifact in the store that has the lock's holdout; the splits that the
recipe draws from its data now, where they are the lock's; the lock itself, as far as its holdout can be read.
The lock holds the sha256 of the holdout's rows, which proves the first two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.data.membership import keys_of
from engine.errors import DataError, StoreError, listed
from engine.lock.draw import recorded_keys, recorded_rows
from engine.lock.file import Lock, LockedSplit, lock_path
from engine.lock.writer import lock_of
from engine.recipe.model import BY_ORDER, FROM_TRAIN, Recipe
from engine.store import Artifact, Store
from engine.store.runs import Runs, read_record
from engine.values import dataclass

FROM_STORE = "the rows that an earlier run of this store recorded"
FROM_DATA = "the data, which still give the holdout of the lock"
FROM_LOCK = (
    "the lock itself: its holdout can be read, {lost} cannot and {are} not recorded any more"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A lock that can be read again."""

    lock: Lock
    source: str
    """What its rows were taken from, in words."""


def is_readable(recipe: Recipe, lock: Lock) -> bool:
    """Whether the recorded rows of a lock can be read."""
    try:
        recorded_rows(recipe, lock)
    except DataError:
        return False
    return True


def repaired(
    recipe: Recipe, lock: Lock, store: Store, *, draw: Callable[[], Artifact | None]
) -> Repaired:
    """Return the lock with rows that can be read, and the very holdout that it recorded.

    `draw` makes the data artifact of a fresh draw from the data as they are; it is called where the store
    has none with that holdout.

    Raises:
        DataError: D400 the holdout's rows are in none of lock, store and data.

    """
    stored = _with_holdout(lock, _stored(recipe, store))
    if stored is not None:
        return Repaired(lock=_taken(recipe, lock, stored), source=FROM_STORE)
    drawn = _with_holdout(lock, iter([draw()]))
    if drawn is not None:
        return Repaired(lock=_taken(recipe, lock, drawn), source=FROM_DATA)
    found = _without_unreadable(recipe, lock)
    if found is None:
        name = lock_path(recipe.file).name
        raise DataError.one(
            "D400",
            f"`{name}` cannot be repaired without a new draw: the rows of its holdout are not readable in it, "
            "no run of this store has that holdout, and the data do not give it",
            hint=f"take `{name}` back from version control, or delete it: the next run then draws another holdout",
        )
    return found


def unwritable(path: Path, error: OSError) -> StoreError:
    """Return that a lock cannot be replaced: D401."""
    return StoreError.one(
        "D401",
        f"`{path.name}` cannot be written: {error.strerror or error}",
        hint="make the folder of the recipe writable",
    )


def _stored(recipe: Recipe, store: Store) -> Iterator[Artifact | None]:
    """Yield the data artifacts of the recipe's runs, the newest first."""
    # whoever made the run: what it recorded is compared with the digest in the lock
    for run in reversed(Runs(store.root).of(recipe.name)):
        stages: Mapping[str, Any] = read_record(run).get("stages", {})
        yield store.get(str(stages.get("data", {}).get("key", "")) or "-")


def _with_holdout(lock: Lock, artifacts: Iterator[Artifact | None]) -> Artifact | None:
    """Return the first artifact that has the rows of the lock's holdout."""
    for artifact in artifacts:
        if artifact is not None and _holdout(artifact) == lock.splits["holdout"].digest:
            return artifact
    return None


def _holdout(artifact: Artifact) -> str | None:
    from engine.lock.accepted_run import split_digests  # brings what proves, for a repair only

    return split_digests(artifact).get("holdout")


def _taken(recipe: Recipe, lock: Lock, artifact: Artifact) -> Lock:
    """Return the lock with what an artifact records; its draw, wear and accepted run stay."""
    # the recorded draw and count stay: a repair must not pass a changed draw of the recipe off as
    # the recorded one
    found = lock_of(recipe, artifact, lock)
    return replace(found, draw=lock.draw, holdout=lock.holdout)


def _without_unreadable(recipe: Recipe, lock: Lock) -> Repaired | None:
    """Return the lock without the rows that cannot be read; None where those of the holdout are among them.

    Where training rows are unknown, those in no split say nothing either. Validation rows are drawn again
    only where new ones can take their places.
    """
    lost = [name for name, part in lock.splits.items() if not _is_whole(name, part)]
    is_number = isinstance(recipe.splits.validation, int) or recipe.splits.validation == FROM_TRAIN
    drawn_again = is_number and recipe.splits.by not in ("group", *BY_ORDER)
    if "holdout" in lost or ("validation" in lost and not drawn_again):
        return None
    lost = [*dict.fromkeys((*lost, "train", "the rows in no split"))]
    splits = {
        name: replace(part, members=None, left_out=None) if name in lost else part
        for name, part in lock.splits.items()
    }
    source = FROM_LOCK.format(lost=listed(lost), are="are" if len(lost) > 1 else "is")
    return Repaired(lock=replace(lock, splits=splits, unused=None), source=source)


def _is_whole(name: str, part: LockedSplit) -> bool:
    """Whether the rows of a split can be read, and are as many as it says."""
    if not _reads(part.members) or not _reads(part.left_out):
        return False
    is_exact = name == "holdout" or part.left_out is not None
    return not is_exact or recorded_keys(part) <= part.rows


def _reads(keys: str | None) -> bool:
    try:
        keys_of(keys or "")
    except ValueError:
        return False
    return True
