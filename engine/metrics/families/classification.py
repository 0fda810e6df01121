"""One label a row: accuracy, averages of precision, recall and F1, correlation, calibration."""

from collections.abc import Callable, Sequence

import numpy as np

from engine.metrics.families import labels
from engine.metrics.predictions import Prediction
from engine.metrics.table import (
    Column,
    Floats,
    Measure,
    Sums,
    Table,
    above_rounding,
    flags,
    make_table,
    no_rows,
    one_hot,
    ratio,
    share_of_rows,
)
from engine.recipe.model import Task


def tabulate(predictions: Sequence[Prediction], task: Task) -> Table:
    """Count targets, outputs and right outputs; `len(labels)` is the number of invalid output."""
    size = len(task.labels)
    number: dict[str | None, int] = {label: place for place, label in enumerate(task.labels)}
    targets = np.array([number[row.target] for row in predictions], dtype=np.intp)
    outputs = np.array([number.get(row.label, size) for row in predictions], dtype=np.intp)
    # A wrong label for each row, another from row to row, so that added wrong rows do not count against one class.
    other = (targets + 1 + np.arange(targets.size) % max(1, size - 1)) % size
    abstained = {None, task.out_of_scope or None}
    own = one_hot(targets, size)
    return make_table(
        predictions,
        {
            "valid": flags(outputs < size),
            "correct": flags(outputs == targets),
            "abstained": flags((row.label in abstained for row in predictions), right=False),
            "support": Column(own),
            "predicted": Column(one_hot(outputs, size), own, one_hot(other, size)),
            "right": Column(
                one_hot(np.where(outputs == targets, targets, size), size),
                own,
                one_hot(np.full(targets.size, size), size),
            ),
            **labels.columns(predictions, outputs == targets, targets=targets),
        },
        names=task.labels,
    )


def measures(table: Table) -> tuple[Measure, ...]:
    return (
        share_of_rows("accuracy", "correct"),
        Measure(
            name="balanced_accuracy",
            value=lambda sums: ratio(
                labels.recall(sums).sum(axis=-1), (sums["support"] > 0).sum(axis=-1)
            ),
            widening=labels.WIDENINGS["recall"],
        ),
        *labels.averages(table.names),
        Measure(name="mcc", value=_correlation, undefined=_one_class(table.names)),
        *labels.MEASURES,
        share_of_rows("abstention", "abstained"),
        share_of_rows("valid_output", "valid"),
        *labels.by_label(table.names),
    )


def confusion(table: Table) -> tuple[tuple[int, ...], ...]:
    """Count targets by outputs, in label order; the last column is output that is no label."""
    targets, outputs = table.block("support"), table.block("predicted")
    counts = (targets.T @ outputs).toarray().round().astype(int)
    rows = np.asarray(targets.sum(axis=0)).round().astype(int)
    invalid = rows - counts.sum(axis=1)
    return tuple(tuple(row) for row in np.column_stack((counts, invalid)).tolist())


def _correlation(sums: Sums) -> Floats:
    """Compute Gorodkin's (2004) correlation of several classes; invalid output is a class of its own."""
    total, support, predicted = sums["rows"], sums["support"], sums["predicted"]
    invalid = total - predicted.sum(axis=-1)
    covariance = sums["right"].sum(axis=-1) * total - (support * predicted).sum(axis=-1)
    targets = total**2 - (support**2).sum(axis=-1)
    outputs = total**2 - (predicted**2).sum(axis=-1) - invalid**2
    return ratio(
        covariance, np.sqrt(above_rounding(targets, total**2) * above_rounding(outputs, total**2))
    )


def _one_class(names: Sequence[str]) -> Callable[[Sums], str]:
    def undefined(sums: Sums) -> str:
        present = np.flatnonzero(sums["support"])
        return no_rows(sums) or (
            f"all rows are of `{names[present[0]]}`" if present.size == 1 else ""
        )

    return undefined
