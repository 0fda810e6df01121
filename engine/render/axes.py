"""Where axes begin and end: round numbers around what is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from engine.evidence import Interval
from engine.render.blocks import Axis

# 20 is needed: three steps of 10 may span less than what is seen.
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0)
_ROUND = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0)
_TICKS = 4


Measured = tuple[float | None, Interval | None]


def numbers_of(measured: Iterable[Measured]) -> list[float]:
    """Every number that is drawn of values with their intervals."""
    numbers = ((value, *((ends.low, ends.high) if ends else ())) for value, ends in measured)
    return [number for found in numbers for number in found if number is not None]


def around(measured: Iterable[Measured], limit: float | None, *, has_zero: bool) -> Axis:
    """An axis around values and their limit with round ends and a quarter of room on both sides.

    `has_zero` puts zero on it, for differences; other values never go below it.
    """
    seen = numbers_of([*measured, (limit, None)])
    seen = [*seen, 0.0] if has_zero or not seen else seen
    low, high = min(seen), max(seen)
    room = (high - low) * 0.25 or abs(high) * 0.25 or 0.1
    low, high = low - room, high + room
    step = 10.0 ** math.floor(math.log10(high - low)) / 2
    start = math.floor(low / step) * step
    return Axis(start if has_zero else max(0.0, start), math.ceil(high / step) * step)


def above(values: Sequence[float]) -> tuple[float, float]:
    """From 0 to the lowest round number above every value."""
    top = max(values, default=1.0) or 1.0
    unit = 10.0 ** math.floor(math.log10(top))
    return 0.0, next(unit * factor for factor in _ROUND if unit * factor >= top)


def nice_range(values: Sequence[float]) -> tuple[float, float]:
    """Round ends around what is seen, in four equal steps."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = high - low or abs(high) or 1.0
    unit = 10.0 ** math.floor(math.log10(room / _TICKS))
    step = next(unit * factor for factor in _STEPS if unit * factor * (_TICKS - 1) >= room)
    floor = math.floor(low / step) * step
    return floor, floor + step * _TICKS
