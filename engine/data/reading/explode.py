"""Rows that hold a list, made one row for each of its items."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from engine.data.examples.template import MissingColumnError, lookup
from engine.data.reading.row import Row, Trouble, excerpt
from engine.data.reading.strict_json import kind_of_value
from engine.progress import Progress
from engine.sources.streams import StreamLimits
from engine.values import replace

LIMITS: Final = StreamLimits()


def explode(
    rows: Iterable[Row], column: str, *, size: int, trouble: Trouble, progress: Progress | None
) -> Iterator[Row]:
    """Yield one row for each item of the list at `column`, a dotted path; the item takes its place.

    An empty list gives no rows; how many were empty is reported to `progress`. A row without a list
    there is added to `trouble`. DataError D345 where the rows are too much for a file of `size` bytes.
    """
    empty, made = 0, 0
    for row in rows:
        items = _items(row, column, trouble)
        empty += items == []
        # before the first of them: what stands beside the list is repeated in each
        made += _size(row.values) * len(items or ()) - _size(items) * (len(items or ()) - 1)
        LIMITS.check(made, packed=size, name=f"{trouble.file}, by `explode`")
        for number, item in enumerate(items or (), 1):
            values = _put(row.values, column, item)
            yield replace(row, origin=f"{row.origin}[{number}]", values=values)
    if empty and progress is not None:
        progress.note(
            f"{trouble.file}: {empty:,} rows hold an empty list in {column} and give no rows"
        )


def _size(value: Any) -> int:
    return len(json.dumps(value, default=str))


def _items(row: Row, column: str, trouble: Trouble) -> list[Any] | None:
    shown = excerpt(column)
    try:
        found = lookup(row.values, column)
    except MissingColumnError:
        trouble.add("D332", f"row {row.origin} has no column `{shown}` to explode", line=None)
        return None
    if isinstance(found, list):
        return found
    message = f"row {row.origin}: `{shown}` is {kind_of_value(found)}, not a list"
    trouble.add(
        "D332", message, line=None, hint="take `explode` away, or name a column that holds lists"
    )
    return None


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
