"""What a kind's metrics come to on some predictions, without their intervals: quick enough for many cases."""

from collections.abc import Sequence

from engine.metrics.families import family_of
from engine.metrics.predictions import Prediction
from engine.recipe.model import Task


def values(predictions: Sequence[Prediction], task: Task) -> dict[str, float | str]:
    """Return each metric's value, or the reason why it has none."""
    family = family_of(task)
    table = family.tabulate(predictions, task)
    sums = table.sums()
    return {
        measure.name: measure.undefined(sums) or float(measure.value(sums))
        for measure in family.measures(table)
    }
