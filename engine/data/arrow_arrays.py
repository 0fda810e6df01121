"""Arrays of NumPy as those of pyarrow, and back, by their memory.

pyarrow's own ways (`pa.array`, `to_numpy`) look for pandas, whose import takes a third of a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def as_indices(places: NDArray[np.int64]) -> Any:
    """Return places for `take`."""
    return pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)])


def as_numbers(values: Any) -> NDArray[Any]:
    """Return an array of numbers, none of which is null."""
    numbers = np.frombuffer(values.buffers()[1], values.type.to_pandas_dtype())
    return numbers[values.offset : values.offset + len(values)]


def are_there(values: Any) -> NDArray[np.bool_]:
    """Return which values are not null."""
    bits = np.frombuffer(values.is_valid().buffers()[1], np.uint8)
    return np.unpackbits(bits, count=len(values), bitorder="little").astype(np.bool_)
