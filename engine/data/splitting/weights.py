"""The weight of a source: how often its training rows are seen in an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.data.checks.findings import Findings
from engine.data.row_index import SPAN, Assignment, Pool, drawn
from engine.data.splitting.splits import Division
from engine.recipe.model import Source


def weigh(
    pool: Pool,
    division: Division,
    sources: Sequence[Source],
    *,
    seed: int,
    findings: Findings,
) -> dict[int, int]:
    """Return how often each training row is seen, where that is not once; thin what weighs less.

    The whole part of a weight repeats every row; the rest repeats (below 1: keeps) that share of
    them, drawn by content. Validation and holdout rows are always seen once.
    """
    weights = [source.weight for source in sources]
    if all(weight == 1 for weight in weights):
        return {}
    repeats: dict[int, int] = {}
    thinned = 0
    for row in division.rows(pool, "train"):
        # Drawn by content: the same rows are kept, in whatever order they were read.
        whole, share = divmod(weights[pool.source[row]], 1)
        times = int(whole) + (drawn("weight", seed, pool.key[row].to_bytes(8)) < share * SPAN)
        if times == 0:
            division.places[row] = Assignment.NONE
            thinned += 1
        elif times != 1:
            repeats[row] = times
    findings.drop("thinned by the weight of its source", thinned)
    return repeats


def seen(rows: Sequence[int], repeats: Mapping[int, int]) -> int:
    """Return the rows of one epoch."""
    return sum(repeats.get(row, 1) for row in rows) if repeats else len(rows)
