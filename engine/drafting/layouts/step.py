"""What a module of layouts returns: how rows of a layout become rows that a recipe can name, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

Row = Mapping[str, Any]
Turned = Callable[[Row], Iterable[dict[str, Any]]]
Recognised = tuple[Turned, str] | None
NEARLY: Final = 0.95
LOOKED_AT: Final = 500
"""Rows by which a layout is recognised."""
SPLIT: Final = "split"
"""The column of the split that the name of a file says."""


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Return the names of the columns, in the order in which rows have them."""
    return list(dict.fromkeys(str(name) for row in rows[:50] for name in row))
