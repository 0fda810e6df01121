"""How many rows models of each kind have scored in a run, since one of them was compared with the plain way. Light."""

from __future__ import annotations

from collections import Counter
from typing import Final

SCORED: Final = Counter[tuple[bytes, bool, str, str]]()
"""By config.json, whether an adapter is beside the weights, precision and device."""


def begin_run() -> None:
    """Forget what other runs of this process have scored: each has its own evidence."""
    SCORED.clear()
