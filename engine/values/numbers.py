"""How a number with decimals is written for people, its sign among it: one way, wherever it is shown."""

from __future__ import annotations

from typing import Final

MINUS: Final = "\N{MINUS SIGN}"
"""As wide as a plus and never a hyphen, which a line may be broken at; programs read `--format json`."""
_GROUPED: Final = 10_000


def decimal(value: float, decimals: int = 3, *, signed: bool = False) -> str:
    """`0.981`; `signed` differences `+0.021`. What is rounded to zero has no sign: there is no negative `0.000`."""
    grouped = "," if abs(value) >= _GROUPED else ""
    text = f"{abs(value):{grouped}.{decimals}f}"
    is_zero = not any(digit in text for digit in "123456789")
    sign = "" if is_zero else MINUS if value < 0 else "+" if signed else ""
    return sign + text


def shortest(value: float, figures: int = 6) -> str:
    """`0.81` for 0.810: as many figures as it takes, and at most so many."""
    return f"{MINUS if value < 0 else ''}{abs(value):.{figures}g}"


def bounds(low: float, high: float, decimals: int = 3) -> str:
    """`[+0.004, +0.020]`: the ends of an interval of a difference."""
    return f"[{decimal(low, decimals, signed=True)}, {decimal(high, decimals, signed=True)}]"
