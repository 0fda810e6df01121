"""How numbers are written: one way for durations, sizes, counts, shares and intervals."""

from __future__ import annotations

import math

from engine.evidence import Interval
from engine.values.numbers import MINUS, decimal

_MINUTE = 60.0
_HOUR = 3600.0
_KILO = 1000
_SIZES = ("B", "kB", "MB", "GB", "TB")
DASH = "\N{EN DASH}"
"""Stands where a number does not apply."""


NOTHING = "not computed"
"""Stands where a number could not be had."""


def duration(seconds: float) -> str:
    """`0.4 s`, `31.2 s`, `4 min 51 s`, `2 h 05 min`."""
    # From here on it would be rounded to `60.0 s`.
    if seconds < _MINUTE - 0.05:
        return f"{seconds:.1f} s"
    # From here on it would be rounded to `60 min`.
    if seconds < _HOUR - 0.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest:02d} min"


def about(seconds: float) -> str:
    """A rough duration for estimates: `20 s`, `1 min`, `2 h 10 min`."""
    if seconds < 10:  # below this the exact number flickers
        return "a few s"
    if seconds < 55:  # rounds to a minute
        return f"{5 * round(seconds / 5)} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 60:  # an hour
        return f"{minutes} min"
    hours, rest = divmod(5 * round(minutes / 5), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def size(count: float) -> str:
    """Bytes in decimal units, three digits at most before the unit: `105 MB`, `1.3 GB`."""
    value, unit = float(count), _SIZES[0]
    for unit in _SIZES:
        # From here on it would be rounded to 1000 of the smaller unit.
        if value < _KILO - 0.5 or unit == _SIZES[-1]:
            break
        value /= _KILO
    digits = 1 if unit not in ("B", "kB") and value < 9.95 else 0  # one digit
    return f"{value:.{digits}f} {unit}"


def count(value: int) -> str:
    """A whole number, grouped from five digits on: `9793`, `134,515,008`."""
    return f"{value:,}" if abs(value) >= 10 * _KILO else str(value)


def counted(value: int, noun: str) -> str:
    """`1 row`, `12 rows`."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def epochs(value: float) -> str:
    """`1 epoch`, `2.5 epochs`, `0.235 epochs`, `1200 epochs`."""
    shown = f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return f"{shown} epoch{'' if shown == '1' else 's'}"


def millions(value: int) -> str:
    """Parameters: `4.9 M`, `134.5 M`, `1.24 B`."""
    if value >= 1_000_000_000:  # a billion
        return f"{value / 1e9:.2f} B"
    if value >= 1_000_000:  # a million
        return f"{value / 1e6:.1f} M"
    return count(value)


def number(value: float | None, *, signed: bool = False) -> str:
    """A metric with three decimals; a difference carries its sign; None is `not computed`."""
    return amount(value, decimals=3, signed=signed)


def amount(value: float | None, *, decimals: int, signed: bool = False) -> str:
    """A measured number with so many decimals, grouped from five digits on; None is `not computed`."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return decimal(value, decimals, signed=signed)


def threshold(value: float) -> str:
    """A threshold as it was written, two decimals at least: `0.80`, `0.985`."""
    text = f"{value:.6f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole.replace('-', MINUS)}.{decimals.ljust(2, '0')}"


def interval(value: Interval | None, *, signed: bool = False, decimals: int = 3) -> str:
    """`[0.858, 0.930]`, empty for none."""
    if value is None:
        return ""
    low, high = (amount(end, decimals=decimals, signed=signed) for end in (value.low, value.high))
    return f"[{low}, {high}]"


def axis_number(value: float) -> str:
    """A number beside an axis: as few digits as it takes."""
    return f"{value:.4g}".replace("-", MINUS) if abs(value) > 1e-9 else "0"


def percent(share: float) -> str:
    """A share in percent with one decimal, never rounded up to a false 100: `98.7 %`."""
    tenths = math.floor(share * 1000 + 0.5)
    tenths = 999 if tenths >= 1000 and share < 1 else tenths  # tenths of a percent
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10:.1f} %"


def p_value(value: float) -> str:
    """`p < 0.001` or `p = 0.013`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"  # by custom


def p_values(value: float | None, adjusted: float | None) -> str:
    """`p = 0.004, 0.013 after Holm`: the test's own p, and corrected for all tests; empty without a test.

    Where nothing had to be corrected, the one p.
    """
    if value is None:
        return ""
    if adjusted is None or adjusted == value:
        return p_value(value)
    corrected = p_value(adjusted).removeprefix("p = ").removeprefix("p ")
    return f"{p_value(value)}, {corrected} after Holm"
