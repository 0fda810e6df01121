"""How rows are divided: `splits`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SplitName = Literal["train", "validation", "holdout"]
SplitBy = Literal["random", "stratified", "group", "time", "column", "files"]
Size = int | float | Literal["all"]
"""Rows, a fraction, or all that the files say (for train: all that is left)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """How the examples are divided; sizes are all rows (int) or all fractions (float)."""

    by: SplitBy
    column: str
    """Of the group, the time or the split; empty for the other ways."""
    train: Size = "all"
    validation: Size = "all"
    holdout: Size
    """With folds: what one fold is, the fraction 1 / folds."""
    folds: int
    """Cross-validation: each row is in the holdout of one of so many trainings; 0 for none."""
    seed: int
