"""The rows of a source that both versions have: what leads to others now, and what that does to those that judge."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from engine.evidence.review import Finding
from engine.recipe.model import HubRef, PathRef, Source
from engine.recipe.text.paths import format_of
from engine.review.compare import ChangedKey, Versions, equal_bytes, finding, same_content
from engine.review.rows import RowDivider
from engine.review.sources import ListedSource, Paired, references_in

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


def other_content(
    versions: Versions, rows: RowDivider, changed: Sequence[Paired], *, counted: bool
) -> Iterator[Finding]:
    """W206, W703: what became of the rows that judged, by the sources whose files changed.

    `counted`: the rows that are gone are reported elsewhere.
    """
    judged = rows.judged(versions.old, versions.new)
    if judged is None:
        # Rows cannot be distinguished here: lines that are gone may be rows that judged.
        says = "lines of it are gone or changed; whether such rows judged is not known here"
        others = [one for one in changed if not only_grew(versions, one)]
        yield from (finding("W206", one.path, says) for one in others)
        return
    path = changed[0].path
    if judged.gone and not counted:
        says = f"{judged.gone} of {judged.rows} rows that judged no longer do"
        yield finding("W206", path, says)
    if judged.otherwise:
        says = f"{judged.otherwise} of {judged.rows} rows that judge have another answer now"
        yield finding("W703", path, says)


def only_grew(versions: Versions, source: Paired) -> bool:
    """Return whether every line of the old files is still in the new ones."""
    old, new = _files(versions, source, old=True), _files(versions, source)
    if old is None or new is None:
        return False
    # Compared as a set: rows may stand in another order, or in another file of the source.
    left = {line for path in new for line in path.read_bytes().splitlines()}
    return all(line in left for path in old for line in path.read_bytes().splitlines())


def _files(versions: Versions, source: Paired, *, old: bool = False) -> list[Path] | None:
    """The files of a source on the disk; None where one is not here, or too large."""
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
    found = format_of(_file_name(source), source.format)
    quoted = source.quoting == "double" or (source.quoting == "auto" and found == "csv")
    delimiter = source.delimiter or ("," if found == "csv" else "")
    return found, _encoding(source.encoding), quoted, delimiter


def _file_name(source: Source) -> str:
    ref = source.ref
    if isinstance(ref, PathRef):
        return ref.path.name
    return (source.hub_file or "") if isinstance(ref, HubRef) else ref.file


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return name
