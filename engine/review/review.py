"""The whole review of two versions: one call, from two sides to one value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from engine.environment import Device
from engine.evidence.review import Review
from engine.review.compare import Versions
from engine.review.costs import costs
from engine.review.findings import judge
from engine.review.locks import record_notes
from engine.review.pins import uncompared
from engine.review.reruns import config_changes, reruns
from engine.review.rows import RowDivider
from engine.review.version import Side
from engine.store import Store


def review(
    old: Side, new: Side, *, store: Store, device: Device, rows: RowDivider | None = None
) -> Review:
    """Compare two versions of a recipe. `rows` says how many rows may be read for it."""
    versions = Versions(old=old, new=new)
    findings, changes = judge(versions, RowDivider() if rows is None else rows)
    return Review(
        name=new.recipe.name,
        old=old.label,
        new=new.label,
        findings=findings,
        changes=changes,
        reruns=reruns(versions, device),
        backends=(old.recipe.backend.name, new.recipe.backend.name),
        config=config_changes(versions, device),
        costs=costs(versions, store, device),
        notes=tuple(_notes(versions)),
        uncompared=uncompared(versions),
        places=_places(versions),
    )


def _places(versions: Versions) -> dict[str, str]:
    """The file, data set or package of each source by its key, those left out that two sources share."""
    found = {one.path: listed.place for one in versions.sources if (listed := one.new or one.old)}
    counts = Counter(found.values())
    return {path: place for path, place in found.items() if counts[place] == 1}


def _notes(versions: Versions) -> Iterator[str]:
    if versions.new.lock is not None and versions.new.drawing_lock is None:
        yield "the lock records another draw: the next run draws the holdout anew and counts a redraw"
    if versions.old.lock is None and versions.new.lock is not None:
        yield "a lock was added: it holds the holdout to its rows"
    yield from record_notes(versions)
    before = {(one.what, one.why) for one in versions.old.recipe.waivers}
    added = [one.what for one in versions.new.recipe.waivers if (one.what, one.why) not in before]
    if added:
        yield f"waivers that are new: {', '.join(f'`{what}`' for what in added)}"
