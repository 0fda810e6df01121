"""Rows in an order, and where their values change: by NumPy where there are many, with the same results.

Where there are few, or no NumPy, Python's own loops do: they need no import of a tenth of a second.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

MANY = 20_000
"""Rows from which NumPy pays for its start."""

Numbers = array[int] | array[float] | bytearray


def sorted_by(values: array[int]) -> array[int]:
    """Return the numbers of the rows by their values; of equal ones the first row comes first."""
    if (numpy := _numpy(values)) is None:
        return array("I", sorted(range(len(values)), key=values.__getitem__))
    order = numpy.argsort(_of(numpy, values), kind="stable").astype("I")
    return array("I", order.tobytes())


def ascending(rows: array[int]) -> array[int]:
    """Return the same rows from the lowest to the highest."""
    if (numpy := _numpy(rows)) is None:
        return array("I", sorted(rows))
    return array("I", numpy.sort(_of(numpy, rows)).tobytes())


def only(order: array[int], places: bytearray, place: int | None = None) -> array[int]:
    """Return the rows of `order` whose value is `place`; without it, those whose value is not 0."""
    if (numpy := _numpy(order)) is None:
        if place is None:
            return array("I", (row for row in order if places[row]))
        return array("I", (row for row in order if places[row] == place))
    rows = _of(numpy, order)
    found = _of(numpy, places)[rows]
    return array("I", rows[found == place if place is not None else found != 0].tobytes())


def starts(order: array[int], values: Sequence[Numbers]) -> array[int]:
    """Return where in `order` one of the values changes, from 0 on, and the end."""
    if (numpy := _numpy(order)) is None:
        found = [at for at in range(len(order)) if not at or _changes(order, values, at)]
        return array("I", [*found, len(order)])
    rows = _of(numpy, order)
    changes = numpy.ones(len(order) + 1, numpy.bool_)
    changes[1:-1] = False
    for value in values:
        ordered = _of(numpy, value)[rows]
        changes[1:-1] |= ordered[1:] != ordered[:-1]
    return array("I", numpy.flatnonzero(changes).astype("I").tobytes())


def runs(order: array[int], values: Numbers, *, least: int = 1) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each run of so many rows in `order` with the same value."""
    cuts = starts(order, [values])
    if least > 1 and (numpy := _numpy(cuts)) is not None:
        found = _of(numpy, cuts)
        long = numpy.flatnonzero(found[1:] - found[:-1] >= least)
        yield from zip(found[long].tolist(), found[long + 1].tolist(), strict=True)
        return
    yield from ((start, end) for start, end in pairwise(cuts) if end - start >= least)


@cache
def has_loops() -> bool:
    """Tell whether there is what compiles loops: an extra."""
    return find_spec("numpy") is not None and find_spec("numba") is not None


def _changes(order: array[int], values: Sequence[Numbers], at: int) -> bool:
    return any(value[order[at]] != value[order[at - 1]] for value in values)


def _numpy(rows: Sequence[float]) -> Any:
    if len(rows) < MANY:
        return None
    try:
        import numpy as np  # an extra
    except ImportError:
        return None
    return np


def _of(numpy: Any, values: Numbers) -> Any:
    """Return an array of the same memory."""
    return numpy.frombuffer(values, getattr(values, "typecode", "B"))
