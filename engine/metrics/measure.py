"""A metric, as a function of sums of row statistics, with what else has to be known of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.metrics.table import Floats, Sums, Table
from engine.values import Value, replace

Of = Callable[[Sums], Floats]
"""What is read from sums: shape (…)."""


def rows(sums: Sums) -> Floats:
    """Read how many rows there are."""
    return sums["rows"]


def no_rows(sums: Sums) -> str:
    """Say that there are no rows, where there are none."""
    return "" if sums["rows"] > 0 else "no rows"


class Measure(Value):
    """One metric of a family."""

    name: str
    value: Of
    """For every leading entry of the sums; a ratio over nothing counts as 0, as in scikit-learn."""
    n: Of = rows
    """How many rows it stands on."""
    undefined: Callable[[Sums], str] = no_rows
    """Why there is no value on these rows; empty where there is one."""
    share: tuple[Of, Of] | None = None
    """(hits, trials) of a plain proportion of independent trials: Wilson's interval holds."""
    f1: tuple[Of, Of] | None = None
    """(true positives, false ones of both sorts) of an F1 of single answers."""
    of_rows: str = ""
    """A share of all rows: the column, 0 or 1 a row, that tells the hits. McNemar's test holds."""
    widening: Of | None = None
    """By how much drawn values, which are shares, spread too little about their mean; None where they do not."""
    least_units: int = 1
    """With fewer rows there is no interval; with fewer than two groups there never is."""

    def has_interval(self, table: Table) -> bool:
        """Tell whether there are enough independent rows to say how sure the value is."""
        return table.units >= (self.least_units if table.groups is None else 2)

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


def above_rounding(value: Floats, whole: Floats) -> Floats:
    """Return what is left of `whole`; a rest that is nothing but rounding is 0."""
    return np.where(value > 1e-12 * whole, value, 0.0)


def share_of_rows(name: str, column: str) -> Measure:
    """Return the share of rows that the column counts."""
    return replace(
        mean_of_rows(name, column), share=(lambda sums: sums[column], rows), of_rows=column
    )


def mean_of_rows(name: str, column: str) -> Measure:
    """Return the mean of a column over the rows."""
    return Measure(name=name, value=lambda sums: ratio(sums[column], sums["rows"]))
