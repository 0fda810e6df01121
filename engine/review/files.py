"""The files that a recipe refers to: whether their rows are others now, and whether they are still pinned."""

import codecs
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

from engine.evidence.review import Finding
from engine.lock.file import lock_path
from engine.recipe.model import HubRef, PackageRef, PathRef, Recipe, Reference, Source
from engine.recipe.references import base_reference
from engine.recipe.text.paths import absolute, format_of
from engine.review.compare import (
    ChangedKey,
    ListedSource,
    Paired,
    Versions,
    equal_bytes,
    finding,
    judging_references,
    references_in,
    same_content,
)
from engine.review.version import WorkingTree
from engine.values import Value

_UNPINNED = "not pinned"
_DIGITS = 12


class _Pin(Value):
    key: str
    value: str | None
    what: tuple[str, ...]
    version: str = ""
    needed: bool = True
    """Without it the bytes can change unseen; a local file stands in the same place, at least."""


def pins(versions: Versions) -> Iterator[Finding]:
    """W501, W502, W504: pins that are gone, that moved, and new references without one."""
    for path, before, ref in _pairs(versions):
        if ref is None:
            continue
        old, new = None if before is None else _pin(before), _pin(ref)
        is_same = old is not None and old.what == new.what
        if new.value is None:
            if old is not None and old.value is not None and (new.needed or is_same):
                yield finding("W501", f"{path}.{new.key}", "", _short(old.value), _UNPINNED)
            elif new.needed and not is_same:
                yield finding("W504", path, f"{_UNPINNED}: add `{new.key}`")
        # Something else that is pinned is no finding.
        elif is_same and old is not None and old.value != new.value:
            is_other = old.value is not None
            code, values = "W502" if is_other else "W501", (_short(old.value), _short(new.value))
            yield finding(code, f"{path}.{new.key}", "", *values, weaker=is_other)
        if is_same and old is not None and old.version != new.version:
            yield finding("W502", f"{path}.package", "", old.version, new.version)


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


OF_ROWS: Final = (
    *("revision", "config", "split", "package", "sha256", "file", "format", "header", "encoding"),
    *("quoting", "delimiter", "split_at", "records", "explode", "columns"),
)
READING = ("format", "encoding", "quoting", "delimiter")
"""Keys of a source that say how its file is read."""
MOST_COMPARED: Final = 50_000_000
"""Of a file whose lines are compared where its rows cannot be divided here."""


def changed_rows(versions: Versions, source: Paired) -> str | None:
    """Return the path of what changes the rows of a source; None where they stay."""
    if source.new is None:
        return None
    if source.old is None:
        return source.path
    for one in versions.of_source(source):
        if key_of(versions, source, one) in (*OF_ROWS, "hub", "path"):
            return one.path
    return source.path if bytes_changed(versions, source) else None


def key_of(versions: Versions, source: Paired, one: ChangedKey) -> str:
    """The key of a source that differs; empty where both values lead to the same rows."""
    if source.old is None or source.new is None:
        return ""
    key = one.path.removeprefix(f"{source.path}.").partition(".")[0]
    if key == "path":
        return "" if same_bytes(versions, source) else key
    if key in READING:
        place = READING.index(key)
        old, new = (read_as(listed.first)[place] for listed in (source.old, source.new))
        return "" if old == new else key
    return key


def bytes_changed(versions: Versions, source: Paired) -> bool:
    """Return whether the local files of a source that both versions name are others now."""
    if source.old is None or source.new is None:
        return False
    old, new = _local_files(source.old), _local_files(source.new)
    if len(old) != len(new):
        return True
    both = zip(old, new, strict=True)
    return any(_is_changed(versions, one, other) for one, other in both)


def _is_changed(versions: Versions, old: PathRef, new: PathRef) -> bool:
    # Not read; validation reports it.
    if old.withheld or new.withheld:
        return old.path != new.path
    there = (versions.old.tree.has(old.path), versions.new.tree.has(new.path))
    if not any(there) and old.path == new.path:
        # In a submodule whose files are not here, git still says that it moved.
        return versions.old.tree.identity(old.path) != versions.new.tree.identity(new.path)
    return there[0] != there[1] or (all(there) and not equal_bytes(versions, old, new))


def _local_files(listed: ListedSource) -> list[PathRef]:
    refs = (ref for file in listed.files for ref in references_in(file))
    return [ref for ref in refs if isinstance(ref, PathRef)]


def same_bytes(versions: Versions, source: Paired) -> bool:
    if source.old is None or source.new is None or len(source.old.files) != len(source.new.files):
        return False
    both = zip(source.old.files, source.new.files, strict=True)
    return all(same_content(versions, one.ref, other.ref) for one, other in both)


def part_of(versions: Versions, source: Paired) -> ChangedKey | None:
    """What says which part of a place is read; its version is reported as a pin."""
    pins = ("revision", "package", "sha256", "hub", "path")
    found = (one for one in versions.of_source(source) if key_of(versions, source, one) in OF_ROWS)
    return next((one for one in found if key_of(versions, source, one) not in pins), None)


def only_grew(versions: Versions, source: Paired) -> bool:
    """Return whether every line of the old files is still in the new ones."""
    old, new = _files(versions, source, old=True), _files(versions, source)
    if old is None or new is None:
        return False
    # Compared as a set: rows may stand in another order, or in another file of the source.
    left = {line for path in new for line in path.read_bytes().splitlines()}
    return all(line in left for path in old for line in path.read_bytes().splitlines())


def _files(versions: Versions, source: Paired, *, old: bool = False) -> list[Path] | None:
    tree, listed = (versions.old.tree, source.old) if old else (versions.new.tree, source.new)
    found: list[Path] = []
    for ref in (ref for file in (listed.files if listed else ()) for ref in references_in(file)):
        path = tree.copy(ref.path) if isinstance(ref, PathRef) and not ref.withheld else None
        if path is None or path.stat().st_size > MOST_COMPARED:
            return None
        found.append(path)
    return found


def read_as(source: Source) -> tuple[str | None, str, bool, str]:
    """Return format, encoding, whether double quotes count, and the delimiter, with what `auto` means for the file."""
    ref = source.ref
    name = source.hub_file or "" if isinstance(ref, HubRef) else getattr(ref, "file", "")
    found = format_of(ref.path.name if isinstance(ref, PathRef) else name, source.format)
    quoted = source.quoting == "double" or (source.quoting == "auto" and found == "csv")
    encoding = source.encoding
    with suppress(LookupError):
        encoding = codecs.lookup(encoding).name
    return found, encoding, quoted, source.delimiter or ("," if found == "csv" else "")
