"""The sources of a recipe: named, fetched, and read one after another."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from engine.data.reading.row import Row
from engine.errors import DataError, Problem
from engine.progress import Progress
from engine.recipe.model import HubRef, PackageRef, Source
from engine.recipe.references import source_format
from engine.sources import fetch_columns, fetch_source
from engine.store import Cached, sha256_of
from engine.values import Value, fields

READER_REVISIONS: Final[Mapping[str, int]] = {"tsv": 2}
"""Of the readers of `quoting: auto` that now refuse, or read otherwise, what an earlier version took.

TSV that was written with quotes was read with them. Bump it when a reader changes: what is stored was read by the
earlier one. Formats that are not named keep the keys that they have had.
"""
EVERY = 5000


class Fetched(Value):
    source: Source
    name: str
    path: Path
    beside: Mapping[str, Path]


def source_names(sources: Sequence[Source]) -> tuple[str, ...]:
    """Return what messages call each source: its file, with as many folders as tell it apart, or the hub's data set."""
    paths = [_parts(source) for source in sources]
    names = [_tail(path, 1) for path in paths]
    for length in range(2, max(map(len, paths), default=1) + 1):
        meanings: dict[str, set[tuple[str, ...]]] = {}
        for name, path in zip(names, paths, strict=True):
            meanings.setdefault(name, set()).add(path)
        names = [
            name if len(meanings[name]) == 1 else _tail(path, length)
            for name, path in zip(names, paths, strict=True)
        ]
    return tuple(names)


def source_slice(source: Source, name: str) -> dict[str, Any]:
    # A key that is not written stands in no slice: those of other recipes stay as they were.
    unwritten = {name for name in ("split_at", "delimiter") if not getattr(source, name)}
    apart = {"ref", *unwritten}
    format_ = source_format(source, _parts(source)[-1])
    is_revised = source.quoting == "auto" and format_ in READER_REVISIONS
    return {
        **{one.name: getattr(source, one.name) for one in fields(source) if one.name not in apart},
        "name": name,
        "format": format_,
        **({"reader": READER_REVISIONS[format_]} if is_revised and format_ else {}),
        # The name without its folder: a file that is moved keeps the stage key; its bytes count apart.
        "columns": {file.column: PurePosixPath(file.written).name for file in source.columns},
    }


def source_slices(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Return what keys hold of sources; their bytes count apart."""
    return [source_slice(*pair) for pair in zip(sources, source_names(sources), strict=True)]


def fetch_all(sources: Sequence[Source], cached: Cached, progress: Progress) -> tuple[Fetched, ...]:
    """Fetch every source; DataError with what is wrong with any of them."""
    fetched: list[Fetched] = []
    problems: list[Problem] = []
    for source, name in zip(sources, source_names(sources), strict=True):
        try:
            path = fetch_source(source, cached, progress)
            beside = fetch_columns(source, cached, progress)
            fetched.append(Fetched(source=source, name=name, path=path, beside=beside))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return tuple(fetched)


def sha256_of_sources(fetched: Fetched) -> str:
    """Return the sha256 of a source's file; with files beside it, of all their digests by column."""
    whole = sha256_of(fetched.path)
    if not fetched.beside:
        return whole
    # By column: two files that change places are another source.
    lines = [f"{whole}\n", *(f"{sha256_of(p)}  {name}\n" for name, p in fetched.beside.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sources_read(fetched: Sequence[Fetched]) -> list[dict[str, str]]:
    """Return the name of each source and the digest of its bytes, for the record of a stage."""
    return [{"name": one.name, "sha256": sha256_of_sources(one)} for one in fetched]


def read_all(fetched: Sequence[Fetched], progress: Progress) -> Iterator[Row]:
    """Yield the rows of all sources in order. DataError with the problems of all of them after the last row."""
    from engine.data.reading.readers import read_rows  # with all that they read by

    problems: list[Problem] = []
    count = 0
    for number, one in enumerate(fetched):
        rows = read_rows(
            one.path, one.source, beside=one.beside, name=one.name, number=number, progress=progress
        )
        try:
            for row in rows:
                count += 1
                if count % EVERY == 0:
                    progress.update(count, 0, "rows", file=one.name)
                yield row
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)


def _parts(source: Source) -> tuple[str, ...]:
    ref = source.ref
    if isinstance(ref, HubRef):
        rows = "/".join(part for part in (source.config, source.split) if part)
        return tuple(source.hub_file.split("/")) if source.hub_file else (f"{ref.repo}:{rows}",)
    return tuple((ref.file if isinstance(ref, PackageRef) else ref.path.as_posix()).split("/"))


def _tail(parts: tuple[str, ...], length: int) -> str:
    return "/".join(part for part in parts[-length:] if part)
