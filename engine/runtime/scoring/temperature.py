"""Temperature scaling (Guo et al. 2017): shares of labels made more or less certain, the order of labels kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

SMALLEST: Final = 1e-6
"""Shares below are taken for this: the search leaves out answers that together have less than a thousandth, and their 0
stands for something. A far smaller one lets the rows of which the model is sure decide the temperature alone."""


def tempered(shares: Sequence[float], temperature: float) -> tuple[float, ...]:
    """Return `softmax(log(shares) / temperature)`; above 1 less certain, at 1 as they are."""
    if temperature == 1:
        return tuple(shares)
    logs = [math.log(max(share, SMALLEST)) / temperature for share in shares]
    highest = max(logs)
    weights = [math.exp(value - highest) for value in logs]
    whole = sum(weights)
    return tuple(weight / whole for weight in weights)
