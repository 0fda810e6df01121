"""The families of metrics, each a module named by `Kind.metric_family`, with the two functions of `Family`."""

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
        """Return the statistics of each row; all models on the same rows have the same columns."""

    def measures(self, table: Table) -> tuple[Measure, ...]:
        """Return the metrics of the kind, in the order of reports."""


def family_of(task: Task) -> Family:
    return cast("Family", importlib.import_module(task.spec.metric_family))
