"""The formats of data files, and how a file's name tells its format."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

SUFFIXES: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "lines",
    ".xml": "xml",
}
"""Of documents (.md, .rst, .html, …) none: whether a line, a paragraph or the file is a row is for
the recipe to say."""
FORMATS: Final = tuple(dict.fromkeys([*SUFFIXES.values(), "text"]))
PACKED_SUFFIXES: Final = frozenset({".gz", ".zst", ".bz2", ".xz"})


def format_of(name: str, asked: str = "auto") -> str | None:
    """Return the format: `asked`, or for `auto` what the name tells, also before .gz; else None."""
    if asked != "auto":
        return asked
    path = PurePosixPath(name)
    if path.suffix.lower() in PACKED_SUFFIXES:
        path = path.with_suffix("")
    return SUFFIXES.get(path.suffix.lower())
