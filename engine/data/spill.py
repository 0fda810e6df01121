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
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from engine.data.row_order import ascending, sorted_by

BLOCK = 1 << 20
"""Bytes that are written at a time."""
BETWEEN = "\0"
"""Between the fields of a row; in front of one that is written as JSON."""


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
        self.starts = array("Q", [0])
        """Where each row begins in the file, and its end."""
        self._is_flushed = True

    def __len__(self) -> int:
        return len(self.starts) - 1

    def add(self, record: SpilledRow) -> None:
        """Write one more record."""
        line = written_record(record)
        self._file.write(line)
        self.starts.append(self.starts[-1] + len(line))
        self._is_flushed = False

    def add_lines(self, lines: Any, ends: Any) -> None:
        """Write records as `written_record` gives them: their bytes, and an array of NumPy of where each ends."""
        self._file.write(lines)
        self.starts.frombytes((ends + self.starts[-1]).astype("Q").tobytes())
        self._is_flushed = False

    def __getitem__(self, row: int) -> SpilledRow:
        return read_record(self.span(row, row + 1))

    def ordered(self, rows: array[int]) -> Iterator[tuple[int, SpilledRow]]:
        """Yield rows and their numbers in the order of the file: much faster than one by one in another."""
        rows = ascending(rows)
        starts, at = self.starts, 0
        while at < len(rows):
            first = rows[at]
            end = self.block_end(first)
            block, before = self.span(first, end), starts[first]
            while at < len(rows) and rows[at] < end:
                row = rows[at]
                yield row, read_record(block[starts[row] - before : starts[row + 1] - before])
                at += 1

    def block_end(self, first: int) -> int:
        """Return up to which row the rows from `first` on are one block: of `BLOCK` bytes, or one row."""
        end = bisect_right(self.starts, self.starts[first] + BLOCK, first + 1, len(self.starts))
        return max(end - 1, first + 1)

    def span(self, first: int, end: int) -> bytes:
        """Return the bytes of the rows from `first` up to `end`."""
        if not self._is_flushed:
            self._file.flush()
            self._is_flushed = True
        start = self.starts[first]
        # `pread` does not move the position of the file, at which `add` goes on writing.
        return os.pread(self._file.fileno(), self.starts[end] - start, start)


def written_record(record: SpilledRow) -> bytes:
    """Return the bytes of a row in the file."""
    payload = json.dumps(record.payload, separators=(",", ":")) if record.payload else ""
    fields = (record.origin, record.input, record.target, record.mark, payload, *record.labels)
    # several times faster than JSON, which is for the rare text with a zero byte in it
    text = BETWEEN.join(fields)
    if not record.origin or text.count(BETWEEN) != len(fields) - 1:
        text = BETWEEN + json.dumps(fields)
    return text.encode(errors="surrogatepass")


def read_record(line: bytes) -> SpilledRow:
    """Return the row that `written_record` wrote."""
    text = line.decode(errors="surrogatepass")
    fields = json.loads(text[1:]) if text.startswith(BETWEEN) else text.split(BETWEEN)
    origin, read, target, mark, payload, *labels = fields
    return SpilledRow(
        origin, read, target, tuple(labels), mark, json.loads(payload) if payload else {}
    )


class Texts:
    """What the model reads in some of the rows, read from the spill file when it is asked for."""

    def __init__(self, spill: Spill, rows: array[int]) -> None:
        """Text `i` is that of row `rows[i]`."""
        self.spill = spill
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> str:
        return self.spill[self.rows[number]].input

    def __iter__(self) -> Iterator[str]:
        return (self.spill[row].input for row in self.rows)

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield each text with its number, in the order of the file."""
        records = (record.input for _, record in self.spill.ordered(self.rows))
        return zip(sorted_by(self.rows), records, strict=True)
