"""The table of rows that may become examples: numbers in memory, about 90 bytes a row; texts in columns on disk.

Rows are identified by their number, in the order they were read. Nothing that decides a split depends on
that order: rows are ranked by their content.
"""

import hashlib
import mmap
import struct
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import InitVar, dataclass, field
from enum import IntEnum
from itertools import accumulate, batched, pairwise
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import ArrayLike

from engine.values import Value

BATCH: Final = 1_000
"""Texts that are read or written at once."""


def close_quietly(file: IO[bytes]) -> None:
    with suppress(OSError):
        file.close()


class TextColumn:
    """A text of each row, one after the other in a file that is mapped: memory holds where each ends."""

    def __init__(self, scratch: Path | None = None) -> None:
        # a `with` would end before the rows are read
        self._file = tempfile.TemporaryFile(dir=scratch, buffering=1 << 20)  # noqa: SIM115
        # Unlike `__del__`, this also runs at the end of the process, and may be called twice.
        self.close = weakref.finalize(self, close_quietly, self._file)
        self._starts = array("Q", [0])
        self._mapped: mmap.mmap | bytes = b""

    def __len__(self) -> int:
        return len(self._starts) - 1

    def append(self, text: str) -> None:
        self.extend((text,))

    def extend(self, texts: Sequence[str]) -> None:
        joined = "".join(texts)
        data = joined.encode("utf-8", "surrogatepass")
        is_ascii = len(data) == len(joined)
        encoded = texts if is_ascii else [text.encode("utf-8", "surrogatepass") for text in texts]
        self._file.write(data)
        self._starts.extend(accumulate(map(len, encoded), initial=self._starts.pop()))

    def __getitem__(self, row: int) -> str:
        return self.of((row,))[0]

    def of(self, rows: Sequence[int]) -> list[str]:
        """Return the texts of some rows."""
        starts = self._starts
        if not starts[-1]:
            return [""] * len(rows)
        if starts[-1] > len(self._mapped):
            self._file.flush()
            self._mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        mapped = self._mapped
        return [
            mapped[starts[row] : starts[row + 1]].decode("utf-8", "surrogatepass") for row in rows
        ]


class Texts(Value, kw_only=False):
    """The texts of some of the rows, read when they are needed."""

    column: TextColumn
    rows: Sequence[int]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> str:
        return self.column[self.rows[number]]

    def __iter__(self) -> Iterator[str]:
        for rows in batched(self.rows, BATCH, strict=False):
            yield from self.column.of(rows)


class Assignment(IntEnum):
    """Where a row stands, or what a column or file says about it."""

    NONE = 0
    TRAIN = 1
    VALIDATION = 2
    HOLDOUT = 3

    @property
    def split(self) -> str:
        return self.name.lower()


SPAN: Final = 1 << 64
"""Places of texts and groups in a seeded order are below it."""


def drawn(purpose: str, seed: int, key: bytes) -> int:
    """Return the place of a text in a seeded order that depends on its content alone, from 0 up to `SPAN`."""
    return drawn_all(purpose, seed, (key,))[0]


def drawn_all(purpose: str, seed: int, keys: Iterable[bytes]) -> list[int]:
    """Return the places of several texts as `drawn` does."""
    sha256, prefix = hashlib.sha256, f"{purpose}:{seed}:".encode()
    return [int.from_bytes(sha256(prefix + key).digest()[:8]) for key in keys]


def numbers(values: ArrayLike, kind: str = "I") -> array[int]:
    """Return numbers of NumPy as an array of `kind`."""
    return array(kind, np.asarray(values, kind).tobytes())


def starts(order: array[int], *values: Sequence[float] | bytearray) -> array[int]:
    """Return where in `order` one of the values of the rows changes, from 0 on, and the end."""
    is_start = np.ones(len(order) + 1, np.bool_)
    is_start[1:-1] = False
    for value in values:
        ordered = np.asarray(value)[order]
        is_start[1:-1] |= ordered[1:] != ordered[:-1]
    return numbers(np.flatnonzero(is_start))


def runs(
    order: array[int], values: Sequence[float], *, least: int = 1
) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each run of so many rows in `order` with the same value."""
    yield from (
        (start, end) for start, end in pairwise(starts(order, values)) if end - start >= least
    )


@dataclass(slots=True)
class Pool:
    """A column for each fact of the rows that may become examples; all that are not empty are of one length."""

    scratch: InitVar[Path | None] = None
    origin: TextColumn = field(init=False)
    """Where the row stands, such as `reviews.csv:17`."""
    input: TextColumn = field(init=False)
    target: TextColumn = field(init=False)
    mark: TextColumn = field(init=False)
    """The value in the column that `splits.by` names, as written; empty where it names none."""
    payload: TextColumn = field(init=False)
    """As JSON; empty where a kind has none."""
    key: array[int] = field(default_factory=lambda: array("Q"))
    """First 64 bits of the content key: equal for texts that count as the same."""
    rank: array[int] = field(default_factory=lambda: array("Q"))
    """Place of the text in the seeded order of the splits; equal texts have equal ranks."""
    sample: array[int] = field(default_factory=lambda: array("Q"))
    """Place of the text in the order of the sample; empty without one."""
    unit: array[int] = field(default_factory=lambda: array("Q"))
    """By group: place of the group in the seeded order; empty for the other ways."""
    time: array[float] = field(default_factory=lambda: array("d"))
    """By time: seconds since 1970; by files_order: the place in the files; empty for the other ways."""
    is_by_place: bool = False
    """By files_order: `time` is a place, and another one once a row before it comes or goes."""
    later_copies: dict[int, int] = field(default_factory=dict)
    """By files_order: how often the text of a row stands again behind it, where it does."""
    answer: array[int] = field(default_factory=lambda: array("Q"))
    """64 bits of what shall be answered: equal for equal answers."""
    stratum: array[int] = field(default_factory=lambda: array("I"))
    """Number of the set of labels in `strata`."""
    strata: list[tuple[str, ...]] = field(default_factory=list)
    source: array[int] = field(default_factory=lambda: array("I"))
    """Number of the source in the recipe; a folder of texts holds more files than 16 bits count."""
    place: bytearray = field(default_factory=bytearray)
    """By files or column: the `Assignment` that the row belongs to; empty for the other ways."""
    alive: bytearray = field(default_factory=bytearray)
    """0: left out by a check or the sample."""
    unmasked: dict[int, int] = field(default_factory=dict)
    """As `key`, of the texts of masked rows before they were masked."""
    known_as: dict[int, int] = field(default_factory=dict)
    """Identities under which rows were recorded while their texts were masked, or not yet; see `identity`."""
    order: array[int] = field(default_factory=lambda: array("I"))
    """Rows in drawn order, equal texts beside each other; see `arrange`."""
    copies: list[tuple[int, int]] = field(default_factory=list)
    """Where in `order` rows of one text begin and end, if it has several."""

    def __post_init__(self, scratch: Path | None) -> None:
        self.origin, self.input, self.target = (TextColumn(scratch) for _ in range(3))
        self.mark, self.payload = TextColumn(scratch), TextColumn(scratch)

    def __len__(self) -> int:
        return len(self.input)

    def arrange(self) -> None:
        """Fill `order`. Among equal texts: by text, answer and origin, so that files do not matter."""
        # By the rank in memory first; the texts are on disk and are read only where ranks are equal.
        self.order = numbers(np.argsort(np.asarray(self.rank), kind="stable"))
        self.copies = list(runs(self.order, self.rank, least=2))
        for start, end in self.copies:
            self.order[start:end] = array("I", sorted(self.order[start:end], key=self._content))
            if self.is_by_place:
                last_first = sorted(self.order[start:end], reverse=True)
                self.later_copies.update(zip(last_first[1:], range(1, end - start), strict=True))

    def _content(self, row: int) -> tuple[str, str, str]:
        return self.input[row], self.target[row], self.origin[row]

    def identity(self, row: int) -> int:
        """Return what a record knows a row by: text; group; text and time; by files_order text and number of copy."""
        if self.unit:
            return self.unit[row]
        return self.known_as.get(row) or self.identity_as(self.key[row], row)

    def identity_as(self, key: int, row: int) -> int:
        """Return what a record knows a row by whose text has that key; not by group."""
        if self.is_by_place:
            later = self.later_copies.get(row)
            return key if later is None else drawn("copy", later, key.to_bytes(8))
        if self.time:
            moment = struct.pack(">Qd", key, self.time[row])
            return int.from_bytes(hashlib.sha256(moment).digest()[:8])
        return key

    def living(self) -> array[int]:
        return self.ordered(self.alive)

    def ordered(self, chosen: ArrayLike) -> array[int]:
        """Return the rows that are chosen by a number each, 0 for no, in drawn order."""
        order = np.asarray(self.order)
        return numbers(order[np.asarray(chosen)[order] != 0])

    def repeated(self) -> Iterator[list[int]]:
        """Yield the living rows of each text that has several, in the order they were read."""
        for start, end in self.copies:
            rows = sorted(row for row in self.order[start:end] if self.alive[row])
            for place in sorted({self.place[row] for row in rows}) if self.place else (None,):
                same = [row for row in rows if place is None or self.place[row] == place]
                if len(same) > 1:
                    yield same

    def leave_out(self, rows: Iterable[int]) -> int:
        """Take rows out; return how many were still in."""
        count = 0
        for row in rows:
            count += self.alive[row]
            self.alive[row] = 0
        return count

    def labels(self, row: int) -> tuple[str, ...]:
        return self.strata[self.stratum[row]]
