"""A JSON object a row: exact objects, and values by field, also repeated and nested ones.

A field is the dotted path of a value without indexes of lists. Its values in a row are a multiset, compared exactly.
An output that is no object has no values.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from engine.metrics.families import labels
from engine.metrics.families.fields import Leaves, canonical, fits, leaves_of
from engine.metrics.predictions import Prediction
from engine.metrics.table import (
    Column,
    Floats,
    Measure,
    Sparse,
    Sums,
    Table,
    flags,
    make_table,
    ratio,
    rows,
    scattered,
    share_of_rows,
    unless,
)
from engine.recipe.metrics import leaves
from engine.recipe.model import Task
from engine.recipe.prompt import read_object


def tabulate(predictions: Sequence[Prediction], task: Task) -> Table:
    """Count the values of targets and outputs by field, and those in both; fields are of the schema and of targets."""
    known = leaves(task.schema)
    targets = [read_object(row.target) or {} for row in predictions]
    outputs = [None if row.label is None else read_object(row.label) for row in predictions]
    held = [leaves_of(target, known) for target in targets]
    predicted = [leaves_of(output or {}, known) for output in outputs]
    more = sorted({field for values in held for field, _ in values} - set(known))
    names = (*known, *more)
    fit = [fits(row.text, task.schema) for row in predictions]
    none = np.zeros(len(held))
    support, nothing = _by_field(held, names), _by_field([Counter()] * len(held), names)
    both = _by_field([a & b for a, b in zip(held, predicted, strict=True)], names)
    unknown = np.array(
        [
            sum(count for (field, _), count in values.items() if field not in names)
            for values in predicted
        ],
        dtype=float,
    )
    return make_table(
        predictions,
        {
            "valid": flags(output is not None for output in outputs),
            "exact": flags(
                output is not None and canonical(target) == canonical(output)
                for target, output in zip(targets, outputs, strict=True)
            ),
            "fits": flags(good for good, _ in fit),
            "mistyped": flags((bad for _, bad in fit), right=False),
            # A model that invents fields must lose precision.
            "unknown": Column(unknown, none, none),
            "support": Column(support),
            # A wrong row has as many values as the target, none of them right.
            "predicted": Column(_by_field(predicted, names), support, support),
            "right": Column(both, support, nothing),
        },
        names=names,
    )


def measures(table: Table) -> tuple[Measure, ...]:
    most = np.zeros(len(table.names))
    for block in ("support", "predicted"):
        if table.rows and table.names:
            most = np.maximum(most, table.block(block).max(axis=0).toarray().ravel())
    once = [bool(value <= 1) for value in most]
    return (
        share_of_rows("exact_match", "exact"),
        Measure(
            name="field_precision",
            value=lambda sums: ratio(_right(sums), _answered(sums)),
            undefined=unless(_answered, "no value was answered"),
        ),
        Measure(
            name="field_recall",
            value=lambda sums: ratio(_right(sums), _held(sums)),
            undefined=labels.no_support,
        ),
        Measure(
            name="field_f1",
            value=lambda sums: ratio(2 * _right(sums), _answered(sums) + _held(sums)),
            undefined=labels.no_support,
        ),
        Measure(
            name="macro_field_f1",
            value=lambda sums: np.asarray(labels.f1(sums).mean(axis=-1)),
            n=rows,
            undefined=labels.lacking(table.names),
        ),
        share_of_rows("schema_validity", "fits"),
        share_of_rows("type_errors", "mistyped"),
        share_of_rows("valid_output", "valid"),
        *labels.by_label(table.names, single=once, has_values=True),
    )


def _by_field(found: Sequence[Leaves], names: Sequence[str]) -> Sparse:
    number = {name: place for place, name in enumerate(names)}
    entries: list[dict[int, float]] = []
    for values in found:
        entry: Counter[int] = Counter()
        for (field, _), count in values.items():
            if field in number:
                entry[number[field]] += count
        entries.append({place: float(entry[place]) for place in sorted(entry)})
    return scattered(entries, len(names))


def _right(sums: Sums) -> Floats:
    return np.asarray(sums["right"].sum(axis=-1))


def _held(sums: Sums) -> Floats:
    return np.asarray(sums["support"].sum(axis=-1))


def _answered(sums: Sums) -> Floats:
    return np.asarray(sums["predicted"].sum(axis=-1) + sums["unknown"])
