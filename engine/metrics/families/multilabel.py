"""Any number of labels a row: exact sets, averages of precision, recall and F1, Hamming loss."""

from collections.abc import Callable, Sequence

import numpy as np

from engine.metrics.families import labels
from engine.metrics.predictions import Prediction
from engine.metrics.table import (
    Column,
    Floats,
    Measure,
    Sparse,
    Sums,
    Table,
    above_rounding,
    flags,
    make_table,
    mean_of_rows,
    no_rows,
    ratio,
    scattered,
    share_of_rows,
)
from engine.recipe.model import Task
from engine.recipe.prompt import split_labels

Set = frozenset[int]


def tabulate(predictions: Sequence[Prediction], task: Task) -> Table:
    size, number = len(task.labels), {label: place for place, label in enumerate(task.labels)}

    def read(text: str) -> Set:
        return frozenset(number[label] for label in split_labels(text))

    targets = [read(row.target) for row in predictions]
    outputs = [None if row.label is None else read(row.label) for row in predictions]
    given = [output or frozenset() for output in outputs]
    wrong = [_other(target, row, size) for row, target in enumerate(targets)]
    pairs = list(zip(targets, outputs, strict=True))
    correct = np.array([target == output for target, output in pairs], dtype=bool)
    missed = [size if output is None else len(target ^ output) for target, output in pairs]
    own, none = _ones(targets, size), np.zeros(len(targets))
    both = _ones([a & b for a, b in zip(targets, given, strict=True)], size)
    return make_table(
        predictions,
        {
            "valid": flags(output is not None for output in outputs),
            "correct": flags(correct),
            "abstained": flags((not output for output in outputs), right=False),
            "missed": Column(np.array(missed, dtype=float) / max(1, size), none, none + 1),
            "support": Column(own),
            "predicted": Column(_ones(given, size), own, _ones(wrong, size)),
            "right": Column(both, own, _ones([frozenset()] * len(targets), size)),
            **labels.columns(predictions, correct),
        },
        names=task.labels,
    )


def measures(table: Table) -> tuple[Measure, ...]:
    return (
        share_of_rows("accuracy", "correct"),
        *labels.averages(table.names),
        Measure(name="mcc", value=_correlation, undefined=_constant(table.names)),
        mean_of_rows("hamming_loss", "missed"),
        *labels.MEASURES,
        share_of_rows("abstention", "abstained"),
        share_of_rows("valid_output", "valid"),
        *labels.by_label(table.names),
    )


def _other(target: Set, row: int, size: int) -> Set:
    """Return as many wrong labels as the row has labels, at least one, as far as there are."""
    left = [place for place in range(size) if place not in target]
    start = row % max(1, len(left))
    turned = left[start:] + left[:start]
    return frozenset(turned[: max(1, len(target))])


def _ones(sets: Sequence[Set], size: int) -> Sparse:
    return scattered([dict.fromkeys(sorted(one), 1.0) for one in sets], size)


def _correlation(sums: Sums) -> Floats:
    total = sums["rows"][..., None]
    support, predicted = sums["support"], sums["predicted"]
    covariance = sums["right"] * total - support * predicted
    lacking = above_rounding(total - support, total), above_rounding(total - predicted, total)
    return ratio(covariance, np.sqrt(support * lacking[0] * predicted * lacking[1])).mean(axis=-1)


def _constant(names: Sequence[str]) -> Callable[[Sums], str]:

    def undefined(sums: Sums) -> str:
        for name, support in zip(names, sums["support"], strict=True):
            if sums["rows"] and support in (0, sums["rows"]):
                return f"{'no' if not support else 'all'} rows of `{name}`"
        return no_rows(sums)

    return undefined
