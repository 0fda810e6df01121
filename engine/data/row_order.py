"""Rows in an order, and where their values change: by NumPy where there are many, with the same results.

Where there are few, or no NumPy, Python's own loops do: they need no import of a tenth of a second.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

MANY = 20_000
"""Rows from which NumPy pays for its start."""

Numbers = array[int] | array[float] | bytes | bytearray


def sorted_by(values: array[int]) -> array[int]:
    """Return the numbers of the rows by their values; of equal ones the first row comes first."""
    if (numpy := _numpy(values)) is None:
        return array("I", sorted(range(len(values)), key=values.__getitem__))
    return array("I", stable_order(_of(numpy, values)).tobytes())


def stable_order(values: Any) -> Any:
    """Return the places of the values of an array from the lowest on; of equal ones the first comes first.

    NumPy's stable sort merges, and takes three times as long as its other one, which is of vector instructions. So
    the places of equal values are sorted behind it, as they mostly are few.
    """
    import numpy as np  # an extra

    order = np.argsort(values).astype(np.uint32)
    ordered = values[order]
    is_again = np.zeros(len(values) + 1, np.bool_)
    is_again[1:-1] = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(is_again[1:] | is_again[:-1])
    # The number of the run before the place: sorted, each run stays where it is.
    runs_and_places = np.cumsum(~is_again[tied]).astype(np.uint64) << np.uint64(32)
    runs_and_places |= order[tied]
    runs_and_places.sort()
    order[tied] = runs_and_places.astype(np.uint32)
    return order


def ascending(rows: array[int]) -> array[int]:
    """Return the same rows from the lowest to the highest."""
    if (numpy := _numpy(rows)) is None:
        return array("I", sorted(rows))
    return array("I", numpy.sort(_of(numpy, rows)).tobytes())


def only(order: array[int], places: bytes | bytearray, place: int | None = None) -> array[int]:
    """Return the rows of `order` whose value is `place`; without it, those whose value is not 0."""
    if (numpy := _numpy(order)) is None:
        if place is None:
            return array("I", (row for row in order if places[row]))
        return array("I", (row for row in order if places[row] == place))
    rows = _of(numpy, order)
    found = _of(numpy, places)[rows]
    return array("I", rows[found == place if place is not None else found != 0].tobytes())


def counts(rows: Sequence[int], values: array[int]) -> dict[int, int]:
    """Return how many of the rows have each value; the value of the first row comes first."""
    if not isinstance(rows, array) or (numpy := _numpy(rows)) is None:
        return dict(Counter(values[row] for row in rows))
    found = _of(numpy, values)[_of(numpy, rows)]
    number = numpy.bincount(found)
    first = numpy.empty(len(number), "I")
    first[found[::-1]] = numpy.arange(len(found), dtype="I")[::-1]  # the last one written stays
    present = numpy.flatnonzero(number)
    present = present[numpy.argsort(first[present])]
    return dict(zip(present.tolist(), number[present].tolist(), strict=True))


def having(rows: array[int], values: Numbers, wanted: Collection[int]) -> array[int]:
    """Return the rows that have one of the wanted values, of which there are few."""
    if (numpy := _numpy(rows)) is None:
        return array("I", (row for row in rows if values[row] in wanted))
    every = _of(numpy, rows)
    found = numpy.isin(_of(numpy, values)[every], list(wanted))
    return array("I", every[found].tobytes())


def without(order: Sequence[int], some: Collection[int]) -> array[int]:
    """Return the numbers of `order` that are none of `some`."""
    if (numpy := _numpy(order)) is None:
        return array("I", (one for one in order if one not in some))
    every = _numbers(numpy, order)
    out = numpy.zeros(int(every.max()) + 1, numpy.bool_)
    out[numpy.fromiter(some, numpy.int64, len(some))] = True
    return array("I", every[~out[every]].astype("I").tobytes())


def grouped(order: Sequence[int], values: Sequence[int]) -> dict[int, array[int]]:
    """Return the numbers of `order` by their values, which stand beside them; each group in that order."""
    if (numpy := _numpy(order)) is None:
        found: dict[int, array[int]] = defaultdict(lambda: array("I"))
        for one, value in zip(order, values, strict=True):
            found[value].append(one)
        return found
    every, beside = _numbers(numpy, order), numpy.asarray(values)
    # Of 16 bits they are sorted digit by digit, in a tenth of the time.
    short = beside.astype("H") if beside.min() >= 0 and beside.max() < 1 << 16 else beside
    by_value = numpy.argsort(short, kind="stable")
    ordered = beside[by_value]
    cuts = [0, *(numpy.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(ordered)]
    return {
        int(ordered[start]): array("I", every[by_value[start:end]].astype("I").tobytes())
        for start, end in pairwise(cuts)
    }


def picked(values: array[int], places: Sequence[int]) -> array[int]:
    """Return the values at some places."""
    if (numpy := _numpy(places)) is None:
        return array(values.typecode, map(values.__getitem__, places))
    found = _of(numpy, values)[_numbers(numpy, places)]
    return array(values.typecode, found.tobytes())


def assign(places: bytearray, rows: array[int], place: int) -> None:
    """Give all of the rows one place."""
    if (numpy := _numpy(rows)) is not None:
        _of(numpy, places)[_of(numpy, rows)] = place
        return
    for row in rows:
        places[row] = place


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
def has_loops(*, columns: bool = False) -> bool:
    """Tell whether there is what compiles loops, an extra, and what holds columns."""
    needed = ("numpy", "numba", *(("pyarrow",) if columns else ()))
    return all(find_spec(name) is not None for name in needed)


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


def _numbers(numpy: Any, numbers: Sequence[int]) -> Any:
    """Return the same numbers as an array; a range would be read one by one."""
    if isinstance(numbers, range):
        return numpy.arange(numbers.start, numbers.stop, numbers.step)
    return numpy.asarray(numbers)
