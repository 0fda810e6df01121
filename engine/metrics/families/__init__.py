"""The families of metrics, one module a kind of task: predictions to row statistics, sums to values.

A family has the three functions of `Family`. `chat` and `text` share one.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol, cast

from engine.recipe.model import Task

if TYPE_CHECKING:
    from engine.evidence import ClassScores
    from engine.metrics.measure import Measure
    from engine.metrics.predictions import Prediction
    from engine.metrics.table import Sums, Table


class Family(Protocol):
    """How the answers of one kind of task are judged."""

    def tabulate(self, predictions: Sequence[Prediction], task: Task) -> Table:
        """Return the statistics of each row, columns the same for every model on the same rows."""

    def measures(self, table: Table) -> tuple[Measure, ...]:
        """Return the metrics of the kind, in the order in which they are shown."""

    def classes(self, sums: Sums, names: Sequence[str]) -> tuple[ClassScores, ...]:
        """Return the table by label or by field; empty where there is none."""


FAMILIES: Final[dict[str, str]] = {
    "classification": "engine.metrics.families.classification",
    "multilabel": "engine.metrics.families.multilabel",
    "extraction": "engine.metrics.families.extraction",
    "generation": "engine.metrics.families.generation",
    "chat": "engine.metrics.families.likelihood",
    "text": "engine.metrics.families.likelihood",
}


def family_of(kind: str) -> Family:
    """Return the family of a kind of task; KeyError for a kind that is not measured."""
    return cast("Family", importlib.import_module(FAMILIES[kind]))
