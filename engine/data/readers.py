"""Rows of a data file, whatever its format, one at a time: a file of gigabytes is never held whole.

Strict: what is not clearly a row is a problem with its line, and no value is changed on the way.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from engine.data.json_rows import read_json, read_json_lines
from engine.data.parquet import read_parquet
from engine.data.row import Row, Trouble
from engine.data.tables import DELIMITERS, Layout, read_table
from engine.recipe.formats import SUFFIXES, format_of
from engine.recipe.model import Source


def read_rows(path: Path, source: Source) -> Iterator[Row]:
    """Yield the rows of a data file in order; blank lines of text formats are passed over.

    DataError with up to 20 problems, raised at the first one that makes the rest unreadable (wrong
    encoding, binary, broken header), else after the last row: use no row before the end is reached.
    """
    trouble = Trouble(path.name)
    count = 0
    for row in _rows(path, source, trouble):
        count += 1
        yield row
    trouble.raise_any()
    if not count:
        raise trouble.stop("D321", "has no rows")


def _rows(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    format_ = format_of(path.name, source.format)
    if format_ == "parquet":
        return read_parquet(path, trouble)
    if format_ == "jsonl":
        return read_json_lines(
            path, encoding=source.encoding, header=source.header, trouble=trouble
        )
    if format_ == "json":
        return read_json(path, encoding=source.encoding, header=source.header, trouble=trouble)
    if format_ in DELIMITERS:
        return read_table(path, _layout(source, format_), trouble)
    raise trouble.stop("D327", "its name does not tell its format", hint=_format_hint(path))


def _layout(source: Source, format_: str) -> Layout:
    quoted = source.quoting == "double" or (source.quoting == "auto" and format_ == "csv")
    return Layout(
        delimiter=DELIMITERS[format_],
        quoted=quoted,
        header=source.header,
        encoding=source.encoding,
    )


def _format_hint(path: Path) -> str:
    near = difflib.get_close_matches(path.suffix.lower(), SUFFIXES, n=1)
    guess = SUFFIXES[near[0]] if near else "csv"
    return f"add `format: {guess}` (or jsonl, json, tsv, parquet) to the source"
