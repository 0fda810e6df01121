"""Numbers on the command line: read whole, bounded, and refused in argparse's own words."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Return what reads a whole number from `least` to `most`."""
    bound = f"from {least} to {most:,}" if most < math.inf else f"{least} or more"

    def read(text: str) -> int:
        # more digits than any number that is meant; beyond Python's own limit `int` raises in words of its own
        number = int(text) if text.isdecimal() and len(text) <= 12 else -1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"a whole number, {bound}, not `{text}`")
        return number

    return read


def seconds(text: str) -> float:
    """Read a time above 0 that ends."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"seconds above 0, not `{text}`")
    return value


def probability(text: str) -> float:
    """Read a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"a number from 0 to 1, not `{text}`")
    return value
