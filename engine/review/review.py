"""The whole review of two versions: one call, from two sides to one value."""

from __future__ import annotations

from collections.abc import Iterator

from engine.environment import Device
from engine.evidence.review import Review
from engine.lock.draw import is_drawn_by
from engine.review.compare import Pair
from engine.review.config import config_changes
from engine.review.costs import costs
from engine.review.findings import judge
from engine.review.record import record_notes
from engine.review.reruns import reruns
from engine.review.rows import Rows
from engine.review.uncompared import uncompared
from engine.review.version import Side
from engine.store import Store


def review(
    old: Side, new: Side, *, store: Store, device: Device, rows: Rows | None = None
) -> Review:
    """Compare two versions of a recipe. `rows` says how many rows may be read for it."""
    pair = Pair(old=old, new=new)
    findings, changes = judge(pair, Rows() if rows is None else rows)
    return Review(
        name=new.recipe.name,
        old=old.label,
        new=new.label,
        findings=findings,
        changes=changes,
        reruns=reruns(pair, device),
        backends=(old.recipe.backend.name, new.recipe.backend.name),
        config=config_changes(pair, device),
        costs=costs(pair, store, device),
        notes=tuple(_notes(pair)),
        uncompared=uncompared(pair),
    )


def _notes(pair: Pair) -> Iterator[str]:
    lock = pair.new.lock
    if lock is not None and not is_drawn_by(lock, pair.new.recipe):
        yield "the lock records another draw: the next run draws the holdout anew and counts a redraw"
    if pair.old.lock is None and pair.new.lock is not None:
        yield "a lock was added: it holds the holdout to its rows"
    yield from record_notes(pair)
    before = {(one.what, one.why) for one in pair.old.recipe.waivers}
    added = [one.what for one in pair.new.recipe.waivers if (one.what, one.why) not in before]
    if added:
        yield f"waivers that are new: {', '.join(f'`{what}`' for what in added)}"
