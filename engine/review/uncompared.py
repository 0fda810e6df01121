"""What judges a model and cannot be compared here: bytes that no version holds and no pin names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from engine.lock.file import lock_path
from engine.recipe.model import HubRef, PackageRef, PathRef, Recipe, Reference
from engine.recipe.text.paths import absolute
from engine.review.compare import Versions
from engine.review.file_tree import WorkingTree
from engine.review.sources import judging_references, references_in


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
    match ref:
        case HubRef():
            return ref.revision is not None
        case PackageRef():
            return ref.sha256 is not None
        case PathRef():
            if ref.sha256 is not None:
                return True
            # Outside the project, and not allowed to be read.
            if ref.withheld:
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
