"""How much the texts of synthetic rows repeat each other, beside as many training rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from engine.data.examples.example import Example, normalised
from engine.evidence import Diversity

RUN: Final = 4
"""Words of a run."""
COMPARED: Final = 300
"""Rows of each kind that are compared with one another."""
WORD: Final = re.compile(r"\w+")


def diversity(synthetic: Sequence[Example], train: Sequence[Example]) -> Diversity | None:
    """Compare as many rows of both, drawn by their content; None without a row of one kind."""
    count = min(len(synthetic), len(train), COMPARED)
    if not count:
        return None
    both = [
        [WORD.findall(normalised(row.input)) for row in _drawn(rows, count)]
        for rows in (synthetic, train)
    ]
    distinct, nearest = [_distinct(rows) for rows in both], [_nearest(rows) for rows in both]
    return Diversity(
        rows=count,
        distinct=distinct[0],
        real_distinct=distinct[1],
        nearest=nearest[0],
        real_nearest=nearest[1],
    )


def _drawn(rows: Sequence[Example], count: int) -> list[Example]:
    return sorted(rows, key=lambda row: sha256(f"compared:{row.id}".encode()).digest())[:count]


def _distinct(rows: Sequence[Sequence[str]]) -> float | None:
    runs = [tuple(row[at : at + RUN]) for row in rows for at in range(len(row) - RUN + 1)]
    return round(len(set(runs)) / len(runs), 6) if runs else None


def _nearest(rows: Sequence[Sequence[str]]) -> float | None:
    """Return the mean over the rows of what each has in common with its nearest other one."""
    sets = [frozenset(row) for row in rows]
    if len(sets) < 2:  # one row has no other
        return None
    best = [0.0] * len(sets)
    for first, one in enumerate(sets):
        for second in range(first + 1, len(sets)):
            every = len(one | sets[second])
            share = len(one & sets[second]) / every if every else 1.0
            best[first], best[second] = max(best[first], share), max(best[second], share)
    return round(sum(best) / len(best), 6)
