"""Changes of lists that say nothing about the evidence: sources, and the order of things."""

from __future__ import annotations

from collections.abc import Iterator

from engine.evidence.review import Area, Change
from engine.recipe.weakening import Weakening, weakenings
from engine.review.compare import Pair, other_bytes
from engine.review.files import bytes_changed
from engine.review.sources import Listed, Paired


def source_changes(pair: Pair) -> Iterator[Change]:
    """Yield what changed in the data sources."""
    if other_bytes(pair, pair.old.recipe.base_model, pair.new.recipe.base_model):
        yield Change(path="base_model", area=Area.MODEL, says="other bytes at the same path")
    for source in pair.sources:
        if source.new is None and source.old is not None:
            path = f"data.sources[{source.old.number}]"
            yield Change(path=path, area=Area.DATA, before=_told(source.old), says="taken out")
        elif source.old is None and source.new is not None:
            path = f"data.sources[{source.new.number}]"
            yield Change(path=path, area=Area.DATA, after=_told(source.new), says="added")
        else:
            yield from _within(pair, source)


def _within(pair: Pair, source: Paired) -> Iterator[Change]:
    for one in pair.of_source(source):
        area = weakenings().get(one.form, Weakening(area=Area.DATA)).area
        yield Change(path=one.path, area=area, before=one.shown_before, after=one.shown_after)
    if source.new is not None and bytes_changed(pair, source):
        path = f"data.sources[{source.new.number}]"
        yield Change(path=path, area=Area.DATA, says=f"{_told(source.new)}: other bytes")


def _told(listed: Listed) -> str:
    return str(
        next(listed.written[key] for key in ("path", "hub", "package") if key in listed.written)
    )


def orders(pair: Pair) -> Iterator[Change]:
    """Yield lists whose items stand in another order, where the order can change a result."""
    old, new = pair.old.recipe, pair.new.recipe
    names = [[one.name for one in recipe.baselines] for recipe in (old, new)]
    if names[0] != names[1] and sorted(names[0]) == sorted(names[1]):
        yield Change(path="baselines", area=Area.REPORT, says="another order")
    places = [one.old.number for one in pair.sources if one.old and one.new]
    if places != sorted(places):
        yield Change(path="data.sources", area=Area.DATA, says="another order")
