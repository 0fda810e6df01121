"""Pins: whether the bytes behind a reference are still nailed down, and are still the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.evidence.review import Finding
from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.review.compare import Versions, finding
from engine.review.sources import judging_references

_UNPINNED = "not pinned"
_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pin:
    """What nails a reference down."""

    key: str
    value: str | None
    what: tuple[str, ...]
    """The repository, package or file that is pinned."""
    version: str = ""
    needed: bool = True
    """Without it the bytes can change unseen; a local file stands in the same place, at least."""


def pins(versions: Versions) -> Iterator[Finding]:
    """W501, W502, W504: pins that are gone, that moved, and new references without one."""
    for path, old, new in _references(versions):
        if new is not None:
            yield from _judged(path, None if old is None else _pin(old), _pin(new))


def _references(versions: Versions) -> Iterator[tuple[str, Reference | None, Reference | None]]:
    old, new = versions.old.recipe, versions.new.recipe
    yield "base_model", old.base_model, new.base_model
    for source in versions.sources:
        if source.new is not None:
            before = source.old.first.ref if source.old else None
            yield f"data.sources[{source.new.number}]", before, source.new.first.ref
    judging = judging_references(old)
    for path, (ref, *_) in judging_references(new).items():
        yield path, judging[path][0] if path in judging else None, ref


def _pin(ref: Reference) -> _Pin:
    match ref:
        case HubRef():
            return _Pin(key="revision", value=ref.revision, what=("hub", ref.repo))
        case PackageRef():
            # To the package index, names in upper and lower case are the same package.
            what = ("package", ref.name.lower())
            return _Pin(key="sha256", value=ref.sha256, what=what, version=ref.version)
        case PathRef():
            return _Pin(key="sha256", value=ref.sha256, what=("path",), needed=False)


def _judged(path: str, old: _Pin | None, new: _Pin) -> Iterator[Finding]:
    if new.value is None:
        yield from _unpinned(path, old, new)
    elif old is None or old.what != new.what:
        # Something else, and pinned.
        return
    elif old.value != new.value:
        is_other = old.value is not None
        code, values = "W502" if is_other else "W501", (_short(old.value), _short(new.value))
        yield finding(code, f"{path}.{new.key}", "", *values, weaker=is_other)
    if old is not None and old.what == new.what and old.version != new.version:
        yield finding("W502", f"{path}.package", "", old.version, new.version)


def _unpinned(path: str, old: _Pin | None, new: _Pin) -> Iterator[Finding]:
    if old is not None and old.value is not None and (new.needed or old.what == new.what):
        yield finding("W501", f"{path}.{new.key}", "", _short(old.value), _UNPINNED)
    elif new.needed and (old is None or old.what != new.what):
        yield finding("W504", path, f"{_UNPINNED}: add `{new.key}`")


def _short(value: str | None) -> str:
    if value is None:
        return _UNPINNED
    return f"{value[:_DIGITS]}…" if len(value) > _DIGITS else value
