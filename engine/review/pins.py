"""Pins of the references of a recipe, and references whose bytes may change unseen."""

from collections.abc import Iterator
from typing import Final

from engine.evidence.review import Finding
from engine.lock.file import lock_path
from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.recipe.text.paths import absolute
from engine.review.compare import finding
from engine.review.pairs import Versions
from engine.values import Value

_UNPINNED: Final = "not pinned"
_DIGITS: Final = 12


class _Pin(Value):
    key: str
    value: str | None
    what: tuple[str, ...]
    name: str
    """The reference in words, as a thing that cannot be compared without the pin."""
    version: str = ""
    needed: bool = True
    """Without it the bytes can change unseen; a local file stands in the same place, at least."""


def _pin(ref: Reference) -> _Pin:
    match ref:
        case HubRef():
            name = f"`{ref.repo}` without a revision"
            return _Pin(key="revision", value=ref.revision, what=("hub", ref.repo), name=name)
        case PackageRef():
            # To the package index, names in upper and lower case are the same package.
            what, name = ("package", ref.name.lower()), f"`{ref.name}` without a sha256"
            return _Pin(key="sha256", value=ref.sha256, what=what, name=name, version=ref.version)
        case PathRef():
            name = f"`{ref.pattern or ref.written}`, whose bytes git does not hold"
            return _Pin(key="sha256", value=ref.sha256, what=("path",), name=name, needed=False)


def pins(versions: Versions) -> Iterator[Finding]:
    """W501, W502, W504: pins that are gone, that moved, and new references without one."""
    for path, (before, after) in versions.references.items():
        if not after:
            continue
        old, new = _pin(before[0]) if before else None, _pin(after[0])
        same = old if old is not None and old.what == new.what else None
        if new.value is None:
            if old is not None and old.value is not None and (new.needed or same):
                yield finding("W501", f"{path}.{new.key}", "", _short(old.value), _UNPINNED)
            elif new.needed and not same:
                yield finding("W504", path, f"{_UNPINNED}: add `{new.key}`")
        # Something else that is pinned is no finding.
        elif same and same.value != new.value:
            was_pinned = same.value is not None
            code, values = "W502" if was_pinned else "W501", (_short(same.value), _short(new.value))
            yield finding(code, f"{path}.{new.key}", "", *values, weaker=was_pinned)
        if same and same.version != new.version:
            yield finding("W502", f"{path}.package", "", same.version, new.version)


def _short(value: str | None) -> str:
    if value is None:
        return _UNPINNED
    return f"{value[:_DIGITS]}…" if len(value) > _DIGITS else value


def uncompared(versions: Versions) -> tuple[str, ...]:
    """Return what may be other bytes now without anybody seeing it, as the recipe calls it."""
    found = []
    for path, (before, after) in versions.references.items():
        # What is new is shown as a change anyway.
        known = {_pin(ref).name for ref in before}
        names = (_pin(ref).name for ref in after if not _is_known(ref, versions))
        found += [name for name in names if name in known and path != "base_model"]
    baselines = versions.new.recipe.baselines
    served = (f"`{one.name}`, whose model a server chooses" for one in baselines if one.endpoint)
    return tuple(dict.fromkeys((*found, *served, *_own_files(versions))))


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


def _own_files(versions: Versions) -> Iterator[str]:
    """Yield the recipe, its parent and its lock where git does not hold them."""
    old, new = versions.old, versions.new
    if not (new.tree.keeps(new.path) and old.tree.keeps(old.path)):
        yield f"`{new.path.name}`, the recipe, which git does not hold"
    if new.recipe.extends:
        parent = absolute(new.recipe.extends, new.recipe.file.parent)
        if not (old.tree.keeps(parent) and new.tree.keeps(parent)):
            yield f"`{new.recipe.extends}`, the parent, which git does not hold"
    lock = lock_path(new.recipe.file)
    if old.lock is None and new.lock is not None and new.tree.ignores(lock):
        yield f"`{lock.name}`, which git ignores"
