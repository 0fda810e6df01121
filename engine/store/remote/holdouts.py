"""How often a holdout has decided, on all machines: a set of decisions that only grows.

Each decision is an object named by its own sha256, so that one which is sent twice, or late, counts once, and no
writer waits for another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.store.key import canonical_json
from engine.store.remote.objects import ObjectStore

MOST: Final = 100_000
"""Decisions that are counted; a holdout is worn out long before."""
_NAME: Final = re.compile(r"(?:.*/)?holdouts/[0-9a-f]{16,64}/[0-9a-f]{64}\.json")


def decisions_there(
    objects: ObjectStore, digest: str, decisions: Sequence[Mapping[str, Any]] = ()
) -> int:
    """Return how many decisions are known of a holdout, once these are among them. UnreachableError."""
    folder = f"holdouts/{digest}"
    known = {one for one in objects.names(folder, limit=MOST) if _NAME.fullmatch(one)}
    for decision in decisions:
        text = canonical_json(decision).encode()
        name = f"{folder}/{hashlib.sha256(text).hexdigest()}.json"
        if name not in known:
            objects.create(name, text)
            known.add(name)
    return len(known)
