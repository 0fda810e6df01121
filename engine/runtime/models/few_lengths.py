"""Passes through a model of few different lengths.

oneDNN compiles each product for the sizes that it has, two milliseconds each on one core. Where every pass is of
another length that is forty products of a training step, which nothing uses again.
"""

from __future__ import annotations

from typing import Final

FEWEST: Final = 8
"""Lengths are multiples of so many tokens at least."""
PART: Final = 16


def filling_of(tokens: int) -> int:
    """Return how many tokens are put behind a pass, less than a sixteenth of it, so that many are of one length."""
    step = 1 << max((tokens // PART).bit_length() - 1, 0)
    return -tokens % max(FEWEST, step)
