"""The rows of a source that both versions have: what of it leads to others now."""

from __future__ import annotations

from typing import Final

from engine.recipe.model import PathRef
from engine.review.compare import ChangedKey, Versions, equal_bytes, same_content
from engine.review.row_format import KEYS, read_as
from engine.review.sources import ListedSource, Paired, references_in

OF_ROWS: Final = (
    *("revision", "config", "split", "package", "sha256", "file", "format", "header", "encoding"),
    *("quoting", "records", "explode", "columns"),
)


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
    if key in KEYS:
        place = KEYS.index(key)
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
    return there[0] != there[1] or (all(there) and not equal_bytes(versions, old, new))


def _local_files(listed: ListedSource) -> list[PathRef]:
    refs = (ref for file in listed.files for ref in references_in(file))
    return [ref for ref in refs if isinstance(ref, PathRef)]


def same_bytes(versions: Versions, source: Paired) -> bool:
    """Return whether a source that goes by another name now leads to the same local files."""
    if source.old is None or source.new is None or len(source.old.files) != len(source.new.files):
        return False
    both = zip(source.old.files, source.new.files, strict=True)
    return all(same_content(versions, one.ref, other.ref) for one, other in both)


def part_of(versions: Versions, source: Paired) -> ChangedKey | None:
    """What says which part of a place is read; its version is reported as a pin."""
    pins = ("revision", "package", "sha256", "hub", "path")
    found = (one for one in versions.of_source(source) if key_of(versions, source, one) in OF_ROWS)
    return next((one for one in found if key_of(versions, source, one) not in pins), None)
