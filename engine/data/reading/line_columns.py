"""Columns of texts from the lines of a file: what is certain of a row without an object for it.

Whoever reads such rows says where values stand and how any of the rows is read by itself; the columns hold null where
that way has to be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.data.reading.row import Row, Trouble
from engine.runtime.text import fields as compiled
from engine.values import Value


class LineBatch(Value):
    """Rows that stand on lines (`engine.data.reading.row.RowBatch`)."""

    columns: Any
    numbers: NDArray[np.int64]
    """The line of each."""
    trouble: Trouble
    read: Callable[[int], Row]
    """Reads the row at a place of the batch."""

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Row]:
        """Yield every row."""
        return map(self.read, range(len(self)))

    @property
    def origin(self) -> str:
        """What stands before its number in the origin of a row."""
        return f"{self.trouble.file}:"

    @property
    def source(self) -> int:
        """Which of the recipe's sources they come from, from 0."""
        return self.trouble.source

    def rows(self, places: Any) -> Iterator[Row]:
        """Yield the rows at these places of the batch, an array of NumPy."""
        return map(self.read, places.tolist())


def batch_of(
    names: Sequence[str],
    found: tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]],
    numbers: NDArray[np.int64],
    read: Callable[[int], Row | None],
    trouble: Trouble,
) -> LineBatch:
    """Return the rows of a block of lines.

    `found` are its bytes, where the values of the columns stand, and which rows are certain. The others are read
    now, by `read` of their places, which gives None for what is no row; so are certain ones when they are asked for.
    """
    data, spans, sure = found
    spans[~sure] = -1
    others = {at: row for at in np.flatnonzero(~sure).tolist() if (row := read(at)) is not None}
    is_row = sure.copy()
    is_row[list(others)] = True
    places = np.flatnonzero(is_row)

    def row_at(number: int) -> Row:
        place = int(places[number])
        row = others.get(place) or read(place)
        if row is None:
            raise AssertionError(place)  # it was certain
        return row

    columns = [_texts(data, np.ascontiguousarray(spans[places, at])) for at in range(len(names))]
    return LineBatch(
        columns=pa.RecordBatch.from_arrays(columns, list(names)),
        numbers=numbers[places],
        trouble=trouble,
        read=row_at,
    )


def _texts(data: NDArray[np.uint8], spans: NDArray[np.int64]) -> Any:
    out, offsets, found = compiled.gathered(data, spans)
    is_there = None if found.all() else pa.py_buffer(np.packbits(found, bitorder="little"))
    buffers = pa.py_buffer(offsets), pa.py_buffer(out), is_there
    return pa.StringArray.from_buffers(len(spans), *buffers)
