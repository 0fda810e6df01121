"""The families of metrics, each a module named by `Kind.metric_family`.

A family has the three functions of `Family`: predictions to statistics of rows, their sums to values.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from engine.recipe.model import Task

if TYPE_CHECKING:
    from engine.metrics.predictions import Prediction
    from engine.metrics.table import Measure, Table


class Family(Protocol):
    def tabulate(self, predictions: Sequence[Prediction], task: Task) -> Table:
        """Return the statistics of each row, columns the same for every model on the same rows."""

    def measures(self, table: Table) -> tuple[Measure, ...]:
        """Return the metrics of the kind, in the order in which they are shown."""


def family_of(task: Task) -> Family:
    """Return how a task is judged; ValueError for a kind that cannot be."""
    return cast("Family", importlib.import_module(task.spec.metric_family))
