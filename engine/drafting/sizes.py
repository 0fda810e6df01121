"""How rows are divided, from their count, and the bounds that a good model can show on those that judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.metrics.power import ROWS, Spread, ThresholdRule, passing_value

HOLDOUT_SHARE: Final = 0.25
VALIDATION_SHARE: Final = 0.1
MOST_HOLDOUT: Final = 1000
MOST_VALIDATION: Final = 500
FOLDS: Final = 5
FOLDED: Final = range(25, 500)
"""Numbers of rows that folds divide: a quarter of so few shows only bounds far below what a good model is worth."""
CONFIDENCE: Final = 0.95
STEP: Final = 0.05
MOST_LOWERED: Final = 0.3
"""A bound is lowered by so much at most: what then is not shown takes more rows."""
ALMOST_ALL: Final = 0.99
"""What a good model reaches of a share that has to be near 1: its bound is lowered as far as need be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Rows of the splits that are not for training."""

    validation: int
    holdout: int
    folds: int = 0
    """0: the holdout judges."""


def sizes_for(rows: int, *, is_folded: bool) -> Sizes:
    """Return round numbers: a quarter to judge by, at most 1,000, and a tenth to steer by; few rows in folds."""
    return Sizes(
        validation=max(1, _round(min(MOST_VALIDATION, rows * VALIDATION_SHARE))),
        holdout=max(2, _round(min(MOST_HOLDOUT, rows * HOLDOUT_SHARE))),
        folds=FOLDS if is_folded and rows in FOLDED else 0,
    )


def shown_bound(most: float, *, rows: float, spread: Spread = ROWS) -> float:
    """Return the highest bound, from `most` down, that a good model shows with power 0.80; `most` where none is.

    A good model misses half of what the bound lets it miss, or `ALMOST_ALL` of the rows are right.
    """
    is_near_one = most > ALMOST_ALL - STEP
    least = STEP if is_near_one else max(STEP, most - MOST_LOWERED)
    for step in range(round((most - least) / STEP) + 1):
        bound = round(most - step * STEP, 2)
        rule = ThresholdRule(bound=bound, confidence=CONFIDENCE)
        needed = passing_value(rule, rows=round(rows), spread=spread)
        if needed is not None and needed <= (ALMOST_ALL if is_near_one else (1 + bound) / 2):
            return bound
    return most


STEPS: Final = ((100, 50), (20, 10), (0, 1))
"""(from, multiples of) that sizes are rounded down to."""


def _round(count: float) -> int:
    step = next(step for least, step in STEPS if count >= least)
    return int(count // step * step)
