"""Rows of a data file, whatever its format, one at a time: a file of gigabytes is never held whole.

Strict: what is not clearly a row is a problem with its line, and no value is changed on the way.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.data.reading.json_rows import read_json, read_json_lines
from engine.data.reading.parquet import read_parquet
from engine.data.reading.row import Row, RowLengths, Trouble, excerpt
from engine.data.reading.strict_json import kind_of_value
from engine.data.reading.tables import read_table
from engine.data.reading.text import read_document, read_lines, read_paragraphs
from engine.data.reading.xml_rows import read_xml
from engine.progress import Progress
from engine.recipe.model import Source
from engine.recipe.references import source_format
from engine.recipe.text.paths import FORMATS, SUFFIXES
from engine.sources.archive import StreamLimits
from engine.values import replace

LIMITS: Final = StreamLimits()
_ABSENT: Final = object()


def explode(
    rows: Iterable[Row], column: str, *, size: int, trouble: Trouble, progress: Progress | None
) -> Iterator[Row]:
    """Yield one row for each item of the list at `column`, a dotted path; the item takes its place.

    An empty list gives no rows; how many were empty is reported to `progress`. A row without a list
    there is added to `trouble`. DataError D345 where the rows are too much for a file of `size` bytes.
    """
    empty, made, shown = 0, 0, excerpt(column)
    for row in rows:
        items = found_at(row.values, column, _ABSENT)
        if items is _ABSENT:
            trouble.add("D332", f"row {row.origin} has no column `{shown}` to explode", line=None)
            continue
        if not isinstance(items, list):
            message = f"row {row.origin}: `{shown}` is {kind_of_value(items)}, not a list"
            hint = "take `explode` away, or name a column that holds lists"
            trouble.add("D332", message, line=None, hint=hint)
            continue
        empty += not items
        # before the first of them: what stands beside the list is repeated in each
        made += _size(row.values) * len(items) - _size(items) * (len(items) - 1)
        LIMITS.check(made, packed=size, name=f"{trouble.file}, by `explode`")
        for number, item in enumerate(items, 1):
            values = _put(row.values, column, item)
            yield replace(row, origin=f"{row.origin}[{number}]", values=values)
    if empty and progress is not None:
        progress.note(
            f"{trouble.file}: {empty:,} rows hold an empty list in {column} and give no rows"
        )


def _size(value: Any) -> int:
    return len(json.dumps(value, default=str))


def _put(values: Any, column: str, item: Any) -> Any:
    """Return a copy of `values` with `item` at a path that `lookup` finds; the rest is shared."""
    # As in `lookup`, a column whose name is the whole path comes first.
    if isinstance(values, Mapping) and column in values:
        return {**values, column: item}
    part, _, rest = column.partition(".")
    if isinstance(values, Mapping):
        return {**values, part: _put(values[part], rest, item)}
    index = int(part)
    inner = item if not rest else _put(values[index], rest, item)
    return [*values[:index], inner, *values[index + 1 :]]


ALONE: Final[Mapping[str, Path]] = MappingProxyType({})


def read_rows(
    path: Path,
    source: Source,
    *,
    beside: Mapping[str, Path] = ALONE,
    name: str = "",
    number: int = 0,
    progress: Progress | None = None,
) -> Iterator[Row]:
    """Yield the rows of a data file in order; blank lines are passed over where a line is no row.

    `beside`: more files of format lines, by column. `name`: what rows and messages call the file. `number`: the
    source's place in the recipe, from 0. DataError with up to 20 problems, raised at the first one that makes the rest
    unreadable (wrong encoding, binary, broken header), else after the last row: use no row before the end is reached.
    """
    trouble = Trouble(name or path.name, source=number)
    rows = _rows(path, source, beside, trouble)
    if source.explode:
        size = path.stat().st_size
        rows = explode(rows, source.explode, size=size, trouble=trouble, progress=progress)
    lengths = RowLengths()
    for row in rows:
        lengths.add(row)
        yield row
    trouble.raise_any()
    if not lengths.rows:
        raise trouble.stop("D321", "has no rows")
    lengths.check(trouble)


def _rows(
    path: Path, source: Source, beside: Mapping[str, Path], trouble: Trouble
) -> Iterator[Row]:
    format_ = source_format(source, path.name)
    if format_ is None:
        from difflib import get_close_matches  # only for a mistake

        near = get_close_matches(path.suffix.lower(), SUFFIXES, n=1)
        guess = SUFFIXES[near[0]] if near else FORMATS[0]
        others = ", ".join(name for name in FORMATS if name != guess)
        hint = f"add `format: {guess}` (or {others}) to the source"
        raise trouble.stop("D327", "its name does not tell its format", hint=hint)
    if format_ == "lines" and source.split_at:
        return read_paragraphs(path, encoding=source.encoding, trouble=trouble)
    if format_ == "lines":
        return read_lines(path, beside, encoding=source.encoding, trouble=trouble)
    return _READERS[format_](path, source, trouble)


_READERS: Final[Mapping[str, Callable[[Path, Source, Trouble], Iterator[Row]]]] = {
    "jsonl": read_json_lines,
    "json": read_json,
    "csv": read_table,
    "tsv": read_table,
    "parquet": read_parquet,
    "text": read_document,
    "xml": read_xml,
}
