"""Blocks of a table as columns: rows whose fields have no doubled quotes and stand on one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.data.reading.line_columns import LineBatch, batch_of
from engine.data.reading.row import Row, Trouble
from engine.runtime.text import fields as compiled


def table_batch(
    block: str,
    first: int,
    header: Sequence[str],
    form: tuple[int, bool],
    read: Callable[[str, int], Row | None],
    trouble: Trouble,
) -> LineBatch | None:
    """Return the rows of whole lines, the first of which has that number; None where it is not certain how they divide.

    `form` is the delimiter and whether fields may be quoted; `read` gives the row of some lines.
    """
    data = np.frombuffer(block.encode(), np.uint8)
    starts, lines, spans, sure = compiled.table_rows(data, form, len(header))
    if not len(lines):
        return None

    def row_at(place: int) -> Row | None:
        text = data[starts[place] : starts[place + 1]].tobytes().decode()
        return read(text, first + int(lines[place]))

    return batch_of(header, (data, spans, sure), lines + first, row_at, trouble)
