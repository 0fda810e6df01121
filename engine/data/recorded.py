"""Which rows stood in which split when a holdout was recorded.

With sizes in rows, a recorded holdout keeps its rows whatever is added later; the lock beside the
recipe holds the record (`engine.store.lock`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

RecordedName = Literal["train", "validation", "holdout", "none"]

KEY_BYTES = 8
"""Of `content_key`, kept for each row: two of a million rows share them once in 37 million records."""
RECORDED_ROWS = 20_000
"""Rows of all splits together up to which the training rows are recorded too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The rows of each split, by `KEY_BYTES` of what tells them apart.

    That is the content key of the text; by group the group, by time the text and its time
    (`engine.data.pool.Pool.identity`).
    """

    members: Mapping[RecordedName, frozenset[bytes]]
    """A split that was too large to be recorded is missing; holdout and validation never are.

    `none` holds the rows that were in no split; it is recorded where `train` is.
    """
    digest: str
    """sha256 of the members: stands in the key of the data stage."""


def record(keys: Mapping[RecordedName, Iterable[bytes]]) -> Membership:
    """Return the record of splits that are given by the content keys of their rows."""
    members = {name: frozenset(key[:KEY_BYTES] for key in found) for name, found in keys.items()}
    return Membership(members=members, digest=_digest(_written(members)))


def membership_to_json(membership: Membership) -> dict[str, str]:
    """Return the members by split as base64 of their sorted keys: the form of files and locks."""
    return _written(membership.members)


def membership_from_json(data: Mapping[str, str]) -> Membership:
    """Return what `membership_to_json` wrote.

    ValueError for text that is not base64 of whole keys.
    """
    members = {cast("RecordedName", name): _keys(text) for name, text in data.items()}
    return Membership(members=members, digest=_digest(_written(members)))


def _written(members: Mapping[RecordedName, frozenset[bytes]]) -> dict[str, str]:
    return {
        name: base64.b64encode(b"".join(sorted(members[name]))).decode() for name in sorted(members)
    }


def _keys(text: str) -> frozenset[bytes]:
    joined = base64.b64decode(text, validate=True)
    if len(joined) % KEY_BYTES:
        message = f"{len(joined)} bytes are not a whole number of keys"
        raise ValueError(message)
    return frozenset(joined[at : at + KEY_BYTES] for at in range(0, len(joined), KEY_BYTES))


def _digest(written: Mapping[str, str]) -> str:
    lines = "".join(f"{name} {text}\n" for name, text in sorted(written.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
