"""Layouts of rows as a table: what a layout needs, what it makes of a row, and the words why. One function reads it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.values import Value

Row = Mapping[str, Any]
Rows = Sequence[Row]
Columns = Mapping[str, Any]
"""The name of the column of each role, and what else was found."""
Turned = Callable[[Row], Iterable[dict[str, Any]]]
Recognised = tuple[Turned, str] | None
Attempt = Callable[[Rows], Recognised]
Test = Callable[[Sequence[Any]], bool]
NEARLY: Final = 0.95
LOOKED_AT: Final = 500
"""Rows by which a layout is recognised."""
SPLIT: Final = "split"
"""The column of the split that the name of a file says."""
MOST_TRIED: Final = 2_000
"""Choices of columns that are tried for one layout."""


def columns_of(rows: Rows) -> list[str]:
    """Return the names of the columns, in the order in which rows have them."""
    return list(dict.fromkeys(str(name) for row in rows[:50] for name in row))


def every(*kinds: type) -> Test:
    """Return a test for values that are all of some kinds."""
    return lambda values: all(isinstance(value, kinds) for value in values)


def each(test: Callable[[Any], object]) -> Test:
    """Return a test for values that all pass one of single values."""
    return lambda values: all(map(test, values))


TEXTS: Final = every(str)
LISTS: Final = every(list)
OBJECTS: Final = every(Mapping)
ANY: Final = each(lambda _: True)


def objects(value: object) -> bool:
    """Whether a value is a list of objects."""
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def texts(value: object) -> bool:
    """Whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def without(row: Row, *names: str) -> dict[str, Any]:
    """Return a row without some of its columns."""
    return {name: value for name, value in row.items() if name not in names}


class Role(Value):
    """A column that a layout needs."""

    test: Test = ANY
    """Of its values."""
    names: Sequence[str] = ()
    """What it may be called, in any case, the best first; any name where there are none."""
    like: str = ""
    """A pattern of what it may be called."""
    first: Sequence[str] = ()
    """Names that are tried before others."""
    is_optional: bool = False
    is_sparse: bool = False
    """Whether rows may lack it."""

    def columns(self, rows: Rows, names: Sequence[str]) -> list[str]:
        """Return the columns that may have the role."""
        wanted = self.names or self.first
        known = [
            name for name in names
            if (not self.names or name.lower() in self.names) and (not self.like or re.fullmatch(self.like, name))
        ]  # fmt: skip
        known.sort(
            key=lambda one: wanted.index(one.lower()) if one.lower() in wanted else len(wanted)
        )
        return [
            name for name in known
            if (self.is_sparse or all(name in row for row in rows)) and self.test([row.get(name) for row in rows])
        ]  # fmt: skip


class RowLayout(Value):
    """A layout of rows."""

    why: str
    """In words; a role in braces is the name of its column."""
    needs: Mapping[str, Role]
    make: Callable[[Row, Columns], Iterable[dict[str, Any]]]
    fits: Callable[[Rows, Columns], bool | Columns | None] = lambda _, __: True
    """Whether the columns fit together, or what was found about them that `make` needs."""

    def __call__(self, rows: Rows) -> Recognised:
        """Return what makes rows of the layout plain, and why; None where the rows are of another one."""
        names = columns_of(rows)
        found = [
            role.columns(rows, names) or ([""] if role.is_optional else [])
            for role in self.needs.values()
        ]
        for chosen in itertools.islice(itertools.product(*found), MOST_TRIED):
            columns: Columns = dict(zip(self.needs, chosen, strict=True))
            filled = [name for name in chosen if name]
            if len(set(filled)) < len(filled) or not (more := self.fits(rows, columns)):
                continue
            columns = {**columns, **(more if isinstance(more, Mapping) else {})}
            return self._turn(columns), self.why.format(**columns)
        return None

    def _turn(self, columns: Columns) -> Turned:
        return lambda row: self.make(row, columns)


def rows_below(rows: Iterable[Row], path: str) -> Iterator[Row]:
    """Yield the objects in the lists at a path: `paragraphs.sentences`."""
    first, _, rest = path.partition(".")
    for row in rows:
        below = [item for item in row.get(first) or [] if isinstance(item, Mapping)]
        yield from rows_below(below, rest) if rest else below
