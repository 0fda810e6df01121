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
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, NamedTuple


def close_quietly(file: IO[bytes]) -> None:
    """Close a temporary file, also one whose last bytes find no room: nobody reads them any more."""
    with suppress(OSError):
        file.close()


class SpilledRow(NamedTuple):
    origin: str
    input: str
    target: str
    labels: tuple[str, ...] = ()
    mark: str = ""
    """The value in the column that `splits.by` names, as written; empty where it names none."""
    payload: Mapping[str, Any] = {}


LABELS: Final = SpilledRow._fields.index("labels")


class Spill:
    """The file of the records."""

    def __init__(self, scratch: Path | None = None) -> None:
        """Open it in `scratch`, or where the system keeps temporary files."""
        # a `with` would end before the rows are read
        self._file = tempfile.TemporaryFile(dir=scratch, buffering=1 << 20)  # noqa: SIM115
        # Unlike `__del__`, this also runs at the end of the process, and may be called twice.
        self.close = weakref.finalize(self, close_quietly, self._file)
        self._starts = array("Q", [0])
        self._is_flushed = True

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, record: SpilledRow) -> None:
        line = json.dumps(record).encode("ascii")
        self._file.write(line)
        self._starts.append(self._starts[-1] + len(line))
        self._is_flushed = False

    def __getitem__(self, row: int) -> SpilledRow:
        if not self._is_flushed:
            self._file.flush()
            self._is_flushed = True
        start = self._starts[row]
        # `pread` does not move the position of the file, at which `add` goes on writing.
        line = os.pread(self._file.fileno(), self._starts[row + 1] - start, start)
        fields = json.loads(line)
        fields[LABELS] = tuple(fields[LABELS])
        return SpilledRow(*fields)


class Texts:
    """What the model reads in some of the rows, read from the spill file when it is needed."""

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
