"""How rows are divided: from their count alone."""

from __future__ import annotations

from typing import Final

from engine.values import dataclass

HOLDOUT_SHARE: Final = 0.25
VALIDATION_SHARE: Final = 0.1
MOST_HOLDOUT: Final = 1000
MOST_VALIDATION: Final = 500
FEW_ROWS: Final = 200
"""Rows below which a holdout says little, and folds may say more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Rows of the splits that are not for training."""

    validation: int
    holdout: int


def sizes_for(rows: int) -> Sizes:
    """Return round numbers: a quarter to judge by, at most 1,000, and a tenth to steer by."""
    return Sizes(
        validation=max(1, _round(min(MOST_VALIDATION, rows * VALIDATION_SHARE))),
        holdout=max(2, _round(min(MOST_HOLDOUT, rows * HOLDOUT_SHARE))),
    )


STEPS: Final = ((100, 50), (20, 10), (0, 1))
"""(from, multiples of) that sizes are rounded down to."""


def _round(count: float) -> int:
    step = next(step for least, step in STEPS if count >= least)
    return int(count // step * step)
