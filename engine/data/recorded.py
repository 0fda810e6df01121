"""Which rows stood in which split when a holdout was recorded.

With sizes in rows, a recorded holdout keeps its rows whatever is added later; the lock beside the
recipe holds the record (`engine.store.lock`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.recipe.model import SplitName

KEY_BYTES = 8
"""Of `content_key`, kept for each row: two of a million rows share them once in 37 million records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The rows of each split, by the first `KEY_BYTES` of their content keys."""

    members: Mapping[SplitName, frozenset[bytes]]
    """A split that was too large to be recorded is missing; holdout and validation never are."""
    digest: str
    """sha256 of the members: stands in the key of the data stage."""
