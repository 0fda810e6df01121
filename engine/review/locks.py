"""The locks of two versions: whether the record of the holdout, and of its use, is still the same."""

from __future__ import annotations

from collections.abc import Iterator

from engine.errors import DataError
from engine.evidence.review import Finding
from engine.lock.draw import draw_of, recorded_rows
from engine.lock.file import Lock
from engine.review.compare import Versions, finding
from engine.review.file_tree import Disk
from engine.review.version import Side


def judge_locks(versions: Versions) -> Iterator[Finding]:
    """W203, W207, W208: a record that is gone or another one, and counts that were turned back."""
    old, new = versions.old.lock, versions.new.lock
    if old is None:
        return
    if new is None:
        # A copy under another name never had the lock of the original.
        is_named_alike = versions.old.path.stem == versions.new.path.stem
        if is_named_alike or not isinstance(versions.new.tree, Disk):
            yield finding("W207", "lock", "the holdout is no longer held to its rows")
        return
    if draw_of(versions.old.recipe) == draw_of(versions.new.recipe):
        yield from _record(versions)
    yield from _wear(versions, old, new)
    if old.accepted is not None and new.accepted is None:
        says = "what the last accepted run left is no longer recorded, so nobody can repeat it"
        yield finding("W207", "lock.accepted", says)


def _record(versions: Versions) -> Iterator[Finding]:
    at = "lock.splits.holdout"
    if versions.old.drawing_lock and not versions.new.drawing_lock:
        yield finding("W207", at, "the lock records another draw than the recipe's")
        return
    before, after = _members(versions.old), _members(versions.new)
    if not before.get("holdout"):
        return
    held, holds = before["holdout"], after.get("holdout", frozenset())
    if gone := len(held - holds):
        says = f"{gone} of {len(held)} recorded holdout rows are no longer recorded"
        yield finding("W207", at, says)
    if trained := len(holds & before.get("train", frozenset())):
        says = f"{trained} of {len(holds)} recorded holdout rows were training rows before"
        yield finding("W203", at, says)


def _members(side: Side) -> dict[str, frozenset[bytes]]:
    if side.lock is None:
        return {}
    try:
        members = recorded_rows(side.recipe, side.lock).members
    except DataError:
        return {}
    return {str(name): keys for name, keys in members.items()}


def _wear(versions: Versions, old: Lock, new: Lock) -> Iterator[Finding]:
    """A redraw counts itself and begins the looks anew."""
    before, after = old.holdout, new.holdout
    pairs = [("redraws", before.redraws, after.redraws)]
    if after.redraws == before.redraws and _same_holdout(versions, old, new):
        pairs.append(("looks", before.looks, after.looks))
    for name, was, now in pairs:
        if now < was:
            says = "the count was turned back"
            yield finding("W208", f"lock.holdout.{name}", says, str(was), str(now))


def _same_holdout(versions: Versions, old: Lock, new: Lock) -> bool:
    """Return whether the looks at one holdout count for the other, as a run carries them on."""
    was, now = (lock.splits.get("holdout") for lock in (old, new))
    if was is None or now is None:
        return False
    held, holds = (
        _members(side).get("holdout", frozenset()) for side in (versions.old, versions.new)
    )
    return was.digest == now.digest or 2 * len(held & holds) >= len(holds)
