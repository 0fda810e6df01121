"""Whether train is filled up after a check has dropped rows of it: what a key must know (`replacements` does it)."""

from __future__ import annotations

from engine.recipe.model import Data, Splits


def may_replace(data: Data, splits: Splits) -> bool:
    """Return whether a check of these may drop training rows after the draw, and others may take their places."""
    drops = "drop" in (data.checks.leakage, data.checks.label_errors)
    return drops and isinstance(splits.train, int) and splits.by != "group"
