"""How numbers are spread: the middle, the long end, the longest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The lengths of some rows; all 0 for none."""

    rows: int
    median: int
    """The upper one of two in the middle."""
    p95: int
    """The length that 95 of 100 rows do not exceed, by nearest rank."""
    longest: int


def spread(lengths: Iterable[int]) -> Spread:
    """Return how lengths are spread."""
    ranked = sorted(lengths)
    if not ranked:
        return Spread(rows=0, median=0, p95=0, longest=0)
    nearest = max(0, -(-len(ranked) * 95 // 100) - 1)
    return Spread(
        rows=len(ranked),
        median=ranked[len(ranked) // 2],
        p95=ranked[nearest],
        longest=ranked[-1],
    )
