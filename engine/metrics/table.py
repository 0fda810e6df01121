"""Row statistics, from which all metrics are computed, of one model's answers to a set of rows.

Each row has numbers for the model's answer, for a right answer and for a wrong one. The sum over rows gives a metric's
value, thousands of weighted sums its interval. The matrices are sparse: a row has entries in few columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from engine.metrics.predictions import Prediction
from engine.values import Value, replace

Of = Callable[["Sums"], "Floats"]
"""Function of sums, with a result of shape (…)."""


def rows(sums: Sums) -> Floats:
    return sums["rows"]


def no_rows(sums: Sums) -> str:
    return "" if sums["rows"] > 0 else "no rows"


def unless(of: Of, why: str) -> Callable[[Sums], str]:
    """Return a function that gives the reason for rows without a value: `why` where `of` counts none."""
    return lambda sums: no_rows(sums) or ("" if np.any(of(sums) > 0) else why)


class Measure(Value):
    name: str
    value: Of
    """For every leading entry of the sums; a ratio over nothing counts as 0, as in scikit-learn."""
    n: Of = rows
    undefined: Callable[[Sums], str] = no_rows
    """Reason why these rows have no value; empty where they have one."""
    share: tuple[Of, Of] | None = None
    """(hits, trials) of a plain proportion of independent trials: Wilson's interval holds."""
    f1: tuple[Of, Of] | None = None
    """(true positives, false positives and negatives) of an F1 of single answers."""
    of_rows: str = ""
    """For a share of all rows: the column of hits, 0 or 1 a row. McNemar's test holds."""
    widening: Of | None = None
    """Factor by which drawn values, which are shares, spread too little about their mean."""
    least_units: int = 1
    """With fewer rows there is no interval; with fewer than two groups there never is."""

    def has_interval(self, table: Table) -> bool:
        """Tell whether there are enough independent rows for an interval."""
        return table.units >= (self.least_units if table.groups is None else 2)

    def of(self, sums: Sums) -> tuple[float | None, str]:
        """Compute the value on rows of these sums; None with the reason where there is none."""
        if reason := self.undefined(sums):
            return None, reason
        value = float(self.value(sums))
        return (value, "") if math.isfinite(value) else (None, "too large a number")

    def drawn(self, draws: Sums, sums: Sums) -> Floats:
        """Compute the value of every draw, shape (draws,), of rows whose sums are `sums`."""
        values = self.value(draws)
        if self.widening is None:
            return values
        center = values.mean()
        return np.clip(center + (values - center) * self.widening(sums), 0.0, 1.0)


def ratio(above: Floats, below: Floats) -> Floats:
    """Divide; over nothing the ratio is 0."""
    above, below = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    above, below = np.broadcast_arrays(above, below)
    # `where` leaves the division out; dividing and replacing would warn in thousands of resamples.
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)


def above_rounding(value: Floats, scale: Floats) -> Floats:
    """Return a difference of numbers of that scale; 0 where it is rounding only."""
    return np.where(value > 1e-12 * scale, value, 0.0)


def share_of_rows(name: str, column: str) -> Measure:
    return replace(
        mean_of_rows(name, column), share=(lambda sums: sums[column], rows), of_rows=column
    )


def mean_of_rows(name: str, column: str) -> Measure:
    return Measure(name=name, value=lambda sums: ratio(sums[column], sums["rows"]))


Floats = NDArray[Any]
Sparse = Any
Block = Any
"""One statistic (rows,) or several of one name (rows, places), dense or sparse."""


class Column(Value, kw_only=False):
    """One statistic of every row: as it was answered, as if it had been answered right, and as if wrong."""

    answered: Block
    right: Block | None = None
    wrong: Block | None = None


def flags(values: Iterable[object], *, right: bool = True) -> Column:
    """Return a statistic of 1 and 0: `right` for right answers, the opposite for wrong ones."""
    answered = np.array([bool(value) for value in values], dtype=float)
    yes, no = np.ones(answered.size), np.zeros(answered.size)
    return Column(answered, yes, no) if right else Column(answered, no, yes)


class Sums(Value, kw_only=False):
    """Sums of row statistics by name, with any number of leading axes, such as one for resamples."""

    values: Floats
    """Shape (…, columns)."""
    columns: Mapping[str, tuple[int, int | None]]
    """First column and width of each block; None for a single number."""

    def __getitem__(self, name: str) -> Floats:
        first, width = self.columns[name]
        if width is None:
            return self.values[..., first]
        return self.values[..., first : first + width]


class Table(Value):
    columns: Mapping[str, tuple[int, int | None]]
    answered: Sparse
    """Shape (rows, columns)."""
    right: Sparse
    wrong: Sparse
    groups: Floats | None
    """Shape (rows,): the number of each row's group; None where rows are independent."""
    names: tuple[str, ...] = ()
    """Names of the places of blocks with several places: labels or fields."""

    @property
    def rows(self) -> int:
        return int(self.answered.shape[0])

    @property
    def units(self) -> int:
        """Return the number of independent draws: of groups, or of rows where there are none."""
        return self.rows if self.groups is None else int(self.groups.max()) + 1

    def sums(self) -> Sums:
        return Sums(np.asarray(self.answered.sum(axis=0), dtype=float), self.columns)

    def block(self, name: str) -> Sparse:
        """Return a statistic of several places, shape (rows, places)."""
        first, width = self.columns[name]
        return self.answered[:, first : first + (width or 0)]

    def column(self, name: str) -> Floats:
        """Return a statistic of one place, shape (rows,)."""
        return np.asarray(self.answered[:, [self.columns[name][0]]].toarray()[:, 0])


class RowStatistics(Value):
    """One model's answers without texts: all that scores, differences and agreement are computed from."""

    table: Table
    plain: Table | None = None
    """Statistics without the probabilities of all labels; None where no row has these."""
    has_shares: bool = False
    """Every row has these probabilities, and they are those of the task's labels."""
    answers: tuple[int, ...] = ()
    """A number for each row's answer, equal for equal answers; empty for kinds without answers."""

    def __len__(self) -> int:
        return self.table.rows


def make_table(
    predictions: Sequence[Prediction], columns: Mapping[str, Column], *, names: Sequence[str] = ()
) -> Table:
    """Join statistics, the number of rows first."""
    columns = {"rows": Column(np.ones(len(predictions))), **columns}
    places: dict[str, tuple[int, int | None]] = {}
    at = 0
    for name, column in columns.items():
        width = None if column.answered.ndim == 1 else int(column.answered.shape[1])
        places[name] = (at, width)
        at += 1 if width is None else width
    return Table(
        columns=places,
        answered=_joined(one.answered for one in columns.values()),
        right=_joined(one.answered if one.right is None else one.right for one in columns.values()),
        wrong=_joined(one.answered if one.wrong is None else one.wrong for one in columns.values()),
        groups=group_numbers([prediction.group for prediction in predictions]),
        names=tuple(names),
    )


def one_hot(places: Floats, width: int, values: Floats | None = None) -> Sparse:
    """Return one entry a row, 1 or its value, at its place; none for a place beyond the width."""
    inside = (places >= 0) & (places < width)
    rows = np.flatnonzero(inside)
    data = np.ones(rows.size) if values is None else np.asarray(values, dtype=float)[inside]
    return sparse.csr_array((data, (rows, places[inside])), shape=(places.size, width))


def scattered(entries: Sequence[Mapping[int, float]], width: int) -> Sparse:
    rows = [row for row, entry in enumerate(entries) for _ in entry]
    places = [place for entry in entries for place in entry]
    values = [value for entry in entries for value in entry.values()]
    data = np.array(values, dtype=float)
    at = (np.array(rows, dtype=np.intp), np.array(places, dtype=np.intp))
    return sparse.csr_array((data, at), shape=(len(entries), width))


def group_numbers(groups: Sequence[str]) -> Floats | None:
    """Number the groups; a row without one is its own group. None where every row is."""
    # A pair, so that no name of a group can equal the number of a row without one.
    keys = [(group, -1) if group else ("", row) for row, group in enumerate(groups)]
    number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    if len(number) == len(keys):
        return None
    return np.array([number[key] for key in keys], dtype=np.intp)


def same_rows(first: Sequence[Prediction], second: Sequence[Prediction]) -> list[Prediction]:
    """Return `second` in the order of `first`: models may answer in another order. ValueError for other rows."""
    by_id = {prediction.id: prediction for prediction in second}
    order = [prediction.id for prediction in first]
    if len(by_id) != len(second) or len(order) != len(second) or by_id.keys() != set(order):
        raise ValueError("predictions to compare are of different rows")
    return [by_id[key] for key in order]


def _joined(blocks: Iterable[Block]) -> Sparse:
    parts = []
    for block in blocks:
        if isinstance(block, np.ndarray):
            numbers = block.astype(float)
            parts.append(sparse.csr_array(numbers if block.ndim > 1 else numbers[:, None]))
        else:
            parts.append(block)
    return sparse.csr_array(sparse.hstack(parts, format="csr"))
