"""Labels as numbers: a column of 0 and 1 for each, an object or a list of them, a list of codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layouts.step import Recognised, Row, Turned, columns_of
from engine.drafting.roles import LABEL_NAMES, rank

FLAGS: Final = frozenset({"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "y", "n", "x", ""})
SET: Final = frozenset({"1", "1.0", "true", "yes", "y", "x"})
MOST_FLAGS: Final = 100
NO_LABEL: Final = re.compile(
    r"(is_?test|split|fold|index|id)$|(is|has|was)[ _]|(label|target|class|category|y|sentiment|gold)$",
    re.IGNORECASE,
)
"""Columns of 0 and 1 that are no label where only two such columns stand side by side."""
NEVER: Final = re.compile(
    r"^(is_test|split|fold|index|id|.*[_ ](confidence|count|id))$", re.IGNORECASE
)
LISTS: Final = re.compile(r"label|tag|class|categor|topic|genre|emotion|intent|cats", re.IGNORECASE)


def flags(rows: Sequence[Row]) -> Recognised:
    """A column of 0 and 1 for each label: a row has those that are 1."""
    columns = [
        name
        for name in columns_of(rows)
        if (values := [_word(row.get(name)) for row in rows if row.get(name) is not None])
        and set(values) <= FLAGS
        and not NEVER.match(name)
    ]
    # A column without anything in it is none.
    columns = [name for name in columns if any(_word(row.get(name)) for row in rows)]
    used = [name for name in columns if any(_word(row.get(name)) in SET for row in rows)]
    # Two such columns may be a label and a remark on the row.
    fewest = 3 if any(map(NO_LABEL.match, columns)) else 2
    if not fewest <= len(columns) <= MOST_FLAGS or len(used) < 2 or _has_classes(rows, columns):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        rest = {key: value for key, value in row.items() if key not in columns}
        yield {**rest, "labels": [n for n in columns if _word(row.get(n)) in SET]}

    return turn, f"{len(columns)} columns of 0 and 1 are labels, from `{columns[0]}` on"


def _word(value: object) -> str:
    return str(value).lower()


def _has_classes(rows: Sequence[Row], flags: Sequence[str]) -> bool:
    """Whether another column is called a label and has few values."""
    others = [
        n for n in columns_of(rows) if n not in flags and rank(n, LABEL_NAMES) < len(LABEL_NAMES)
    ]
    return any(2 <= len({str(row.get(name)) for row in rows}) <= len(rows) // 4 for name in others)


def flags_inside(rows: Sequence[Row]) -> Recognised:
    """An object of flags by label, a list of a flag for each label, or a list of the codes of labels."""
    for name in columns_of(rows):
        values = [row.get(name) for row in rows]
        if (
            read := _by_name(values) or (_by_place(values) if LISTS.search(name) else None)
        ) is None:
            continue
        labels = [read(value) for value in values]
        if len({one for some in labels for one in some}) < 2:
            continue
        one = all(len(some) == 1 for some in labels)
        turn = _single(name, read) if one else _several(name, read)
        return turn, f"`{name}` says by numbers which labels a row has"
    return None


def _single(name: str, read: Callable[[Any], list[str]]) -> Turned:
    def turn(row: Row) -> Iterator[dict[str, Any]]:
        for label in read(row[name])[:1]:
            yield {**row, name: label}

    return turn


def _several(name: str, read: Callable[[Any], list[str]]) -> Turned:
    def turn(row: Row) -> Iterator[dict[str, Any]]:
        yield {**row, name: read(row[name])}

    return turn


def _by_name(values: Sequence[object]) -> Callable[[Any], list[str]] | None:
    first = values[0] if values else None
    if not isinstance(first, Mapping) or len(first) < 2:
        return None
    if not all(isinstance(value, Mapping) and value.keys() == first.keys() for value in values):
        return None
    marks = {_word(one) for value in values if isinstance(value, Mapping) for one in value.values()}
    return (
        (lambda value: [str(n) for n, one in value.items() if _word(one) in SET])
        if marks <= FLAGS
        else None
    )


def _by_place(values: Sequence[object]) -> Callable[[Any], list[str]] | None:
    lists = [value for value in values if isinstance(value, list)]
    items = [item for value in lists for item in value]
    if len(lists) < len(values) or not items or not all(isinstance(i, int | float) for i in items):
        return None
    sizes = {len(value) for value in lists}
    if len(sizes) == 1 and max(sizes) > 1 and {_word(item) for item in items} <= FLAGS:
        return lambda value: [str(at) for at, item in enumerate(value) if _word(item) in SET]
    is_coded = all(isinstance(i, int) for i in items) and len(set(items)) <= MOST_FLAGS
    return (lambda value: [str(item) for item in value]) if is_coded else None
