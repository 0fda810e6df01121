"""Spill files of rows."""

from __future__ import annotations

from collections.abc import Iterable

from engine.data.spill import Spill, SpilledRow


def spilled(rows: Iterable[SpilledRow]) -> Spill:
    """Return a file of these rows."""
    spill = Spill()
    for row in rows:
        spill.add(row)
    return spill
