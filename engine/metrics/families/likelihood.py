"""Chat and text: how well a model predicts the learned tokens, as perplexity and as bits per byte."""

import math
from collections.abc import Sequence

import numpy as np

from engine.metrics.predictions import Prediction
from engine.metrics.table import Column, Measure, Sums, Table, make_table, no_rows, ratio
from engine.recipe.model import Task

MOST_NATS = 700.0
"""Most nats a token: beyond, the perplexity is no finite float."""


def tabulate(predictions: Sequence[Prediction], task: Task) -> Table:
    del task
    nats = np.array([row.nats or 0.0 for row in predictions], dtype=float)
    tokens = np.array([row.tokens for row in predictions], dtype=float)
    sizes = np.array([row.bytes for row in predictions], dtype=float)
    # A compressor counts bytes and no tokens.
    units = tokens if tokens.any() else sizes
    rates = nats[units > 0] / units[units > 0]
    least, most = (rates.min(), rates.max()) if rates.size else (0.0, 0.0)
    return make_table(
        predictions,
        {
            "known": Column(np.array([row.nats is not None for row in predictions], dtype=float)),
            "nats": Column(nats, least * units, most * units),
            "tokens": Column(tokens),
            "bytes": Column(sizes),
        },
    )


def measures(table: Table) -> tuple[Measure, ...]:
    del table
    return (
        Measure(
            name="perplexity",
            value=lambda sums: np.exp(np.minimum(ratio(sums["nats"], sums["tokens"]), MOST_NATS)),
            undefined=lambda sums: _unknown(sums, "tokens"),
            least_units=2,
        ),
        Measure(
            name="bits_per_byte",
            value=lambda sums: ratio(sums["nats"], sums["bytes"]) / math.log(2),
            undefined=lambda sums: _unknown(sums, "bytes"),
            # The rows added to an interval are the easiest and the hardest: with one row, both are equal.
            least_units=2,
        ),
    )


def _unknown(sums: Sums, counted: str) -> str:
    if reason := no_rows(sums):
        return reason
    if sums["known"] != sums["rows"]:
        return "some rows have no likelihood"
    if sums[counted] <= 0:
        return f"no {counted} are learned"
    if counted == "tokens" and sums["nats"] > MOST_NATS * sums["tokens"]:
        return "too large a number"
    return ""
