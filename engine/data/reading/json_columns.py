"""Blocks of JSON lines as columns: objects whose values are texts without escapes, and numbers that are read over."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np

from engine.data.reading.line_columns import LineBatch, batch_of
from engine.data.reading.row import Row, Trouble
from engine.data.spill_blocks import joined_bytes
from engine.runtime.text import fields as compiled


def line_batch(
    block: str,
    first: int,
    names: Sequence[str],
    read: Callable[[str, int], Row | None],
    trouble: Trouble,
) -> LineBatch:
    """Return the rows of whole lines, the first of which has that number; `read` gives the row of one.

    Certain are lines that are objects of these keys, in their order.
    """
    data = np.frombuffer(block.encode(), np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    if not block.endswith("\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1] + 1])
    keys = joined_bytes([json.dumps(name, ensure_ascii=False).encode() for name in names])
    spans, sure = compiled.json_values(data, starts, ends, keys, compiled.WORDS)

    def row_at(place: int) -> Row | None:
        line = data[starts[place] : ends[place] + 1].tobytes().decode()
        return read(line, first + place)

    numbers = np.arange(first, first + len(starts))
    return batch_of(names, (data, spans, sure), numbers, row_at, trouble)
