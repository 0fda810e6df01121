"""One row as a file holds it, and the problems found while reading a file."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from engine.errors import DataError, Place, Problem
from engine.values import Value

SHOWN = 20
"""Problems of one file that are shown; the others are counted."""
MOST = 10_000
"""Problems of one file after which the rest of it is not read: a file of brackets can hold millions."""
EXCERPT = 60
LONGER: Final = 1000
"""Times the median length from which a row is taken for many that were read as one."""
PART: Final = 0.01
"""Share of a file's characters that such a row has too: among millions of documents some are as long."""
FEWEST: Final = 20
"""Rows below which a median says nothing, and characters as which a shorter median counts."""
JOINERS = "\u200c\u200d"
"""Within words of Persian and Hindi, and within emoji: no letter of theirs is seen without them."""


class Row(Value):
    origin: str
    """`reviews.csv:17` (line), or `reviews.parquet#17` (row, from 1) where there are no lines.

    With `records`, `faq.json#data.items:17`; with `explode`, the item from 1 is added: `…#17[2]`.
    """
    values: Mapping[str, Any]
    source: int = 0


@dataclass(slots=True)
class Trouble:
    """The problems of one file: the first ones kept, the others counted, raised together."""

    file: str
    source: int = 0
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
        self.add(code, message, line=line, hint=hint)
        return self.error()

    def error(self) -> DataError:
        more = self.count - len(self.kept)
        message, place = f"and {several(more, 'more problem')} in this file", Place(file=self.file)
        message += "; the rest of it was not read" if self.count > MOST else ""
        last = [Problem(code=self.kept[-1].code, message=message, place=place)] if more else []
        return DataError([*self.kept, *last])

    def raise_any(self) -> None:
        if self.kept:
            raise self.error()


class RowLengths:
    """How many rows of a file have each length, in characters, and the longest row."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._longest = (-1, "")

    @property
    def rows(self) -> int:
        return self._counts.total()

    def add(self, row: Row) -> None:
        try:
            length = len("".join(row.values.values()))
        except TypeError:  # a value is no text
            length = characters(row.values)
        self._counts[length] += 1
        if length > self._longest[0]:
            self._longest = length, row.origin

    def check(self, trouble: Trouble) -> None:
        """DataError D349 where a row is so long that it must be many that were read as one."""
        lengths = sorted(self._counts)
        below = [*accumulate(self._counts[length] for length in lengths)]
        median = lengths[bisect_left(below, self.rows / 2)]
        longest, origin = self._longest
        whole = sum(length * count for length, count in self._counts.items())
        if self.rows < FEWEST or longest < max(LONGER * max(median, FEWEST), PART * whole):
            return
        line = origin.rpartition(":")[2]
        raise trouble.stop(
            "D349",
            f"row {origin} has {longest:,} characters, {longest // max(median, 1):,} times those of the median row"
            f" ({median:,}): many rows were read as one",
            line=int(line) if line.isdecimal() else None,
            hint="look there for a quote that is not closed or a missing blank line; cut a text that is so long",
        )


def characters(value: object) -> int:
    count, left = 0, [value]
    # Not by calls of itself: JSON may be deeper than Python calls.
    while left:
        one = left.pop()
        if isinstance(one, str):
            count += len(one)
        elif isinstance(one, Mapping | list):
            left += one.values() if isinstance(one, Mapping) else one
    return count


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
