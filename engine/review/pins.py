"""What a version refers to: whether its bytes are still pinned and the same, and what cannot be compared here.

The latter are bytes that no version holds and no pin names.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from engine.evidence.review import Finding
from engine.lock.file import lock_path
from engine.recipe.model import HubRef, PackageRef, PathRef, Recipe, Reference
from engine.recipe.references import base_reference
from engine.recipe.text.paths import absolute
from engine.review.compare import Versions, finding
from engine.review.file_tree import WorkingTree
from engine.review.sources import judging_references, references_in
from engine.values import Value

_UNPINNED = "not pinned"
_DIGITS = 12


class _Pin(Value):
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
    for path, old, new in _pairs(versions):
        if new is not None:
            yield from _judged(path, None if old is None else _pin(old), _pin(new))


def _pairs(versions: Versions) -> Iterator[tuple[str, Reference | None, Reference | None]]:
    old, new = versions.old.recipe, versions.new.recipe
    yield "base_model", base_reference(old.base_model), base_reference(new.base_model)
    for source in versions.sources:
        if source.new is not None:
            before = source.old.first.ref if source.old else None
            yield source.path, before, source.new.first.ref
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


def uncompared(versions: Versions) -> tuple[str, ...]:
    """Return what may be other bytes now without anybody seeing it, as the recipe calls it."""
    before = {_name(ref) for ref in _references(versions.old.recipe)}
    found = [
        _name(ref)
        for ref in _references(versions.new.recipe)
        # What is new is shown as a change anyway.
        if _name(ref) in before and not _is_known(ref, versions)
    ]
    baselines = versions.new.recipe.baselines
    served = (f"`{one.name}`, whose model a server chooses" for one in baselines if one.endpoint)
    return tuple(dict.fromkeys((*found, *served, *_beside(versions))))


def _references(recipe: Recipe) -> Iterator[Reference]:
    """Rows, opponents and probes: all that a verdict rests on."""
    yield from (ref for source in recipe.data.sources for ref in references_in(source))
    yield from chain.from_iterable(judging_references(recipe).values())


def _name(ref: Reference) -> str:
    match ref:
        case HubRef():
            return f"`{ref.repo}` without a revision"
        case PackageRef():
            return f"`{ref.name}` without a sha256"
        case PathRef():
            return f"`{ref.pattern or ref.written}`, whose bytes git does not hold"


def _is_known(ref: Reference, versions: Versions) -> bool:
    if _pin(ref).value is not None:
        return True
    # Outside the project, a file is not allowed to be read.
    if not isinstance(ref, PathRef) or ref.withheld:
        return False
    old, new = versions.old.tree, versions.new.tree
    return new.keeps(ref.path) and (
        old.keeps(ref.path) or old.identity(ref.path) != new.identity(ref.path)
    )


def _beside(versions: Versions) -> Iterator[str]:
    """The recipe itself, its parent and its lock, where the repository does not keep them."""
    old, new = versions.old, versions.new
    if not (new.tree.keeps(new.path) and old.tree.keeps(old.path)):
        yield f"`{new.path.name}`, the recipe, which git does not hold"
    if new.recipe.extends:
        parent = absolute(new.recipe.extends, new.recipe.file.parent)
        if not (old.tree.keeps(parent) and new.tree.keeps(parent)):
            yield f"`{new.recipe.extends}`, the parent, which git does not hold"
    lock, is_new = lock_path(new.recipe.file), old.lock is None and new.lock is not None
    if is_new and isinstance(new.tree, WorkingTree) and new.tree.repository.ignores(lock):
        yield f"`{lock.name}`, which git ignores"
