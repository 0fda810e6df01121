"""Preference: how often, and by how much, the model rates the chosen answer higher."""

from collections.abc import Sequence

import numpy as np

from engine.metrics.predictions import Prediction
from engine.metrics.table import (
    Column,
    Measure,
    Sums,
    Table,
    flags,
    make_table,
    mean_of_rows,
    no_rows,
    ratio,
    share_of_rows,
    unless,
)
from engine.recipe.model import Task
from engine.values import replace

LENGTHS = ("longer", "shorter")
"""Length of the chosen answer in bytes, compared with the rejected one."""


def tabulate(predictions: Sequence[Prediction], task: Task) -> Table:
    del task
    rated = np.array([row.margin is not None and row.margin > 0 for row in predictions], float)
    margins = np.array([row.margin or 0.0 for row in predictions], dtype=float)
    low, high = (margins.min(), margins.max()) if margins.size else (0.0, 0.0)
    wanted = np.array([row.nats is not None and row.desirable for row in predictions], dtype=float)
    nats = wanted * np.array([row.nats or 0.0 for row in predictions], dtype=float)
    tokens = wanted * np.array([row.tokens for row in predictions], dtype=float)
    rates = nats[tokens > 0] / tokens[tokens > 0]
    least, most = (rates.min(), rates.max()) if rates.size else (0.0, 0.0)
    pairs = np.array([row.rejected_bytes > 0 for row in predictions], dtype=float)
    sizes = np.array([row.bytes - row.rejected_bytes for row in predictions])
    of_length = {"longer": pairs * (sizes > 0), "shorter": pairs * (sizes < 0)}
    return make_table(
        predictions,
        {
            "preferred": flags(rated),
            "scored": Column(np.array([row.nats is not None for row in predictions], dtype=float)),
            "margin": Column(margins, np.full(margins.size, high), np.full(margins.size, low)),
            "nats": Column(nats, least * tokens, most * tokens),
            "tokens": Column(tokens),
            **{name: Column(rows) for name, rows in of_length.items()},
            **{
                f"{name}_right": Column(rows * rated, rows, 0 * rows)
                for name, rows in of_length.items()
            },
        },
    )


def measures(table: Table) -> tuple[Measure, ...]:
    del table
    is_wanted = unless(lambda sums: sums["tokens"], "no answer is wanted")
    return (
        share_of_rows("preference_accuracy", "preferred"),
        replace(mean_of_rows("preference_margin", "margin"), undefined=_not_scored, least_units=2),
        *(_accuracy_of(name) for name in LENGTHS),
        Measure(
            name="chosen_log_probability",
            value=lambda sums: -ratio(sums["nats"], sums["tokens"]),
            undefined=lambda sums: _not_scored(sums) or is_wanted(sums),
            least_units=2,
        ),
    )


def _accuracy_of(length: str) -> Measure:
    return Measure(
        name=f"accuracy_chosen_{length}",
        value=lambda sums: ratio(sums[f"{length}_right"], sums[length]),
        n=lambda sums: sums[length],
        undefined=unless(lambda sums: sums[length], f"no chosen answer is the {length} one"),
        share=(lambda sums: sums[f"{length}_right"], lambda sums: sums[length]),
    )


def _not_scored(sums: Sums) -> str:
    return no_rows(sums) or ("" if sums["scored"] == sums["rows"] else "no likelihoods are known")
