"""Local files that hold something else now: rows that judged and are gone, or have another answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.evidence.review import Effect, Finding
from engine.recipe.model import PathRef
from engine.review.compare import Versions
from engine.review.rows import JudgedRows, RowDivider
from engine.review.sources import Paired

MOST_BYTES: Final = 50_000_000
"""Of a file whose lines are compared where its rows cannot be divided here."""


def other_content(
    versions: Versions, rows: RowDivider, changed: tuple[tuple[Paired, str], ...], *, counted: bool
) -> Iterator[Finding]:
    """W206, W703: what became of the rows that judged, by the files that changed (`path` of each).

    `counted`: the rows that are gone are reported elsewhere.
    """
    judged = rows.judged(versions.old, versions.new)
    if judged is None:
        yield from _by_lines(versions, changed)
    else:
        yield from _by_rows(judged, changed[0][1], counted=counted)


def _by_rows(judged: JudgedRows, path: str, *, counted: bool) -> Iterator[Finding]:
    if judged.gone and not counted:
        says = f"{judged.gone} of {judged.rows} rows that judged no longer do"
        yield Finding(code="W206", path=path, effect=Effect.WEAKER, says=says)
    if judged.otherwise:
        says = f"{judged.otherwise} of {judged.rows} rows that judge have another answer now"
        yield Finding(code="W703", path=path, effect=Effect.WEAKER, says=says)


def _by_lines(versions: Versions, changed: tuple[tuple[Paired, str], ...]) -> Iterator[Finding]:
    """Where rows cannot be distinguished here, lines that are gone may be rows that judged."""
    for source, path in changed:
        if not _only_grew(versions, source):
            says = "lines of it are gone or changed; whether such rows judged is not known here"
            yield Finding(code="W206", path=path, effect=Effect.WEAKER, says=says)


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
    for file in listed.files if listed else ():
        for ref in (file.ref, *(one.ref for one in file.columns)):
            path = tree.copy(ref.path) if isinstance(ref, PathRef) and not ref.withheld else None
            if path is None or path.stat().st_size > MOST_BYTES:
                return None
            found.append(path)
    return found
