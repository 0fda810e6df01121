"""Local files that hold something else now: rows that judged and are gone, or have another answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from engine.evidence.review import Finding
from engine.recipe.model import PathRef
from engine.review.compare import Versions, finding
from engine.review.rows import RowDivider
from engine.review.sources import Paired, references_in

MOST_BYTES: Final = 50_000_000
"""Of a file whose lines are compared where its rows cannot be divided here."""


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
        others = [one for one in changed if not _only_grew(versions, one)]
        yield from (finding("W206", one.path, says) for one in others)
        return
    path = changed[0].path
    if judged.gone and not counted:
        says = f"{judged.gone} of {judged.rows} rows that judged no longer do"
        yield finding("W206", path, says)
    if judged.otherwise:
        says = f"{judged.otherwise} of {judged.rows} rows that judge have another answer now"
        yield finding("W703", path, says)


def _only_grew(versions: Versions, source: Paired) -> bool:
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
        if path is None or path.stat().st_size > MOST_BYTES:
            return None
        found.append(path)
    return found
