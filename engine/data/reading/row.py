"""One row as a file holds it, and the problems found while reading a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, Protocol

from engine.errors import DataError, Place, Problem
from engine.values import dataclass

SHOWN = 20
"""Problems of one file that are shown; the others are counted."""
MOST = 10_000
"""Problems of one file after which the rest of it is not read: a file of brackets can hold millions."""
EXCERPT = 60
JOINERS = "\u200c\u200d"
"""Within words of Persian and Hindi, and within emoji: no letter of theirs is seen without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The values of a row by column, as they stand in the file."""

    origin: str
    """`reviews.csv:17` (line), or `reviews.parquet#17` (row, from 1) where there are no lines.

    With `records`, `faq.json#data.items:17`; with `explode`, the item from 1 is added: `…#17[2]`.
    """
    values: Mapping[str, Any]
    source: int = 0
    """Which of the recipe's sources it comes from, from 0."""


class RowBatch(Protocol):
    """Rows of a file that has columns, for those who look at columns and make no object of a row."""

    @property
    def source(self) -> int:
        """Which of the recipe's sources they come from, from 0."""
        ...

    @property
    def columns(self) -> Any:
        """A record batch of pyarrow: the rows that the file has there, all of which can be read."""
        ...

    @property
    def origin(self) -> str:
        """What stands before its number in the origin of a row."""
        ...

    @property
    def numbers(self) -> Any:
        """The number of each row, in its origin: an array of NumPy."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Row]: ...

    def rows(self, places: Any) -> Iterator[Row]:
        """Yield the rows at these places of the batch, an array of NumPy."""
        ...


@dataclass(slots=True)
class Trouble:
    """The problems of one file: the first ones kept, the others counted, raised together."""

    file: str
    """As rows and messages name it."""
    source: int = 0
    """Which of the recipe's sources it is, from 0."""
    kept: list[Problem] = field(default_factory=list)
    count: int = 0

    def row(self, spot: str, values: Mapping[str, Any]) -> Row:
        """Return a row of this file; `spot` is what follows the file in its origin: `:17`, `#17`."""
        return Row(origin=f"{self.file}{spot}", values=values, source=self.source)

    def add(self, code: str, message: str, *, line: int | None, hint: str | None = None) -> None:
        """Keep a problem at a line of the file (None: of the whole file). DataError with the one after `MOST`."""
        self.count += 1
        if self.count > MOST:
            raise self.error()
        if len(self.kept) < SHOWN:
            place = Place(file=self.file, line=line)
            self.kept.append(Problem(code=code, message=message, hint=hint, place=place))

    def stop(
        self, code: str, message: str, *, line: int | None = None, hint: str | None = None
    ) -> DataError:
        """Return the error that ends the reading, with what was found before."""
        self.add(code, message, line=line, hint=hint)
        return self.error()

    def error(self) -> DataError:
        """Return the error of all problems; the last one says how many are not shown."""
        more = self.count - len(self.kept)
        message, place = f"and {several(more, 'more problem')} in this file", Place(file=self.file)
        message += "; the rest of it was not read" if self.count > MOST else ""
        last = [Problem(code=self.kept[-1].code, message=message, place=place)] if more else []
        return DataError([*self.kept, *last])

    def raise_any(self) -> None:
        """Raise what was found; nothing when nothing was."""
        if self.kept:
            raise self.error()


def first_repeated(names: Iterable[str]) -> str | None:
    """Return the first name that stands there a second time; None where each stands there once."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def excerpt(text: str) -> str:
    """Return the start of a text on one line, control characters made visible."""
    # The text is a stranger's: escape sequences in it would steer the terminal.
    line = "".join(
        c if c.isprintable() or c in JOINERS else repr(c)[1:-1] for c in text[: EXCERPT + 1]
    )
    return f"{line[:EXCERPT]}…" if len(line) > EXCERPT else line


def several(count: int, one: str, more: str = "") -> str:
    """Return `1 row repeats` or `7 rows repeat`; without `more`, the plural of `one` is one `s` longer."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
