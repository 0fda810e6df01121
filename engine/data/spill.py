"""Filled rows on disk: written once in the order they come, read back by number.

Memory holds eight bytes a row (where it begins). The file has no name, so that nothing is left of
it when the process ends, however it ends.
"""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

BLOCK = 1 << 20
"""Bytes that are read at a time when all rows are read in order."""


def close_quietly(file: IO[bytes]) -> None:
    """Close a temporary file, also one whose last bytes find no room: nobody reads them any more."""
    with suppress(OSError):
        file.close()


class SpilledRow(NamedTuple):
    """A filled row as the spill file holds it."""

    origin: str
    input: str
    target: str
    labels: tuple[str, ...] = ()
    mark: str = ""
    """The value in the column that `splits.by` names, as written; empty where it names none."""
    payload: Mapping[str, Any] = {}


class Spill:
    """The file of the records."""

    def __init__(self, scratch: Path | None = None) -> None:
        """Open it in `scratch`, or where the system keeps temporary files."""
        # a `with` would end before the rows are read
        self._file = tempfile.TemporaryFile(dir=scratch, buffering=BLOCK)  # noqa: SIM115
        # Unlike `__del__`, this also runs at the end of the process, and may be called twice.
        self.close = weakref.finalize(self, close_quietly, self._file)
        self._starts = array("Q", [0])
        self._is_flushed = True

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, record: SpilledRow) -> None:
        """Write one more record."""
        fields = record if record.payload else record[:-1]
        # ASCII escapes hold unpaired surrogates too
        line = json.dumps(fields, separators=(",", ":")).encode("ascii")
        self._file.write(line)
        self._starts.append(self._starts[-1] + len(line))
        self._is_flushed = False

    def __getitem__(self, row: int) -> SpilledRow:
        self._flush()
        start, end = self._starts[row], self._starts[row + 1]
        # `pread` does not move the position of the file, at which `add` goes on writing.
        return _record(os.pread(self._file.fileno(), end - start, start))

    def __iter__(self) -> Iterator[SpilledRow]:
        """Yield every record in the order they were written."""
        self._flush()
        first = 0
        while first < len(self):
            # One record at least: a single one may be larger than a block.
            last = first + 1
            while last < len(self) and self._starts[last] - self._starts[first] < BLOCK:
                last += 1
            start = self._starts[first]
            block = os.pread(self._file.fileno(), self._starts[last] - start, start)
            for row in range(first, last):
                yield _record(block[self._starts[row] - start : self._starts[row + 1] - start])
            first = last

    def _flush(self) -> None:
        if not self._is_flushed:
            self._file.flush()
            self._is_flushed = True


class Texts:
    """What the model reads in some of the rows, read from the spill file when it is asked for."""

    def __init__(self, spill: Spill, rows: Sequence[int]) -> None:
        """Text `i` is that of row `rows[i]`."""
        self._spill = spill
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> str:
        return self._spill[self._rows[number]].input

    def __iter__(self) -> Iterator[str]:
        return (self._spill[row].input for row in self._rows)


def numbered(spill: Spill, rows: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Yield (row, text) of some rows."""
    return ((row, spill[row].input) for row in rows)


def _record(line: bytes) -> SpilledRow:
    origin, text, target, labels, *more = json.loads(line)
    return SpilledRow(origin, text, target, tuple(labels), *more)
