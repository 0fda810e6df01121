"""Which rows stood in which split when a holdout was recorded."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, cast

from engine.data.reading.row import Row
from engine.recipe.model import Data, Splits
from engine.values import Value, field

BYTES = 4


def may_replace(data: Data, splits: Splits) -> bool:
    """Return whether a check of these may drop training rows after the draw, and others may take their places."""
    drops = "drop" in (data.checks.leakage, data.checks.label_errors)
    return drops and isinstance(splits.train, int) and splits.by != "group"


class Fingerprints:
    """Collects the fingerprints of rows that pass; of too many it keeps only the number."""

    def __init__(self) -> None:
        self.rows = 0
        self._kept: list[bytes] = []

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            if self.rows < RECORDED_ROWS:
                self._kept.append(fingerprint(row))
            self.rows += 1
            yield row

    def written(self) -> str | None:
        """Return them as base64 of the sorted fingerprints; None for more rows than are recorded."""
        if self.rows > RECORDED_ROWS:
            return None
        return joined_parts(self._kept)


class RowDifference(Value):
    other: int
    gone: int
    first: str

    @property
    def rows(self) -> int:
        """A changed row is one that is there instead of one that is gone."""
        return max(self.other, self.gone)


def fingerprint(row: Row) -> bytes:
    # `repr` for what JSON has no form for (times and bytes of Parquet); sorted, as the order of columns says nothing.
    values = json.dumps(dict(row.values), sort_keys=True, default=repr, ensure_ascii=False)
    return hashlib.sha256(values.encode(errors="surrogatepass")).digest()[:BYTES]


def differing(rows: Iterable[Row], recorded: str) -> RowDifference:
    """Return which rows are not those of recorded fingerprints; ValueError for text that is none."""
    # A counter, not a set: a row that stands there twice must be found twice.
    left = Counter(parts_of(recorded, BYTES, "fingerprints"))
    other, first = 0, ""
    for row in rows:
        mark = fingerprint(row)
        if left[mark] > 0:
            left[mark] -= 1
            continue
        other += 1
        first = first or row.origin
    return RowDifference(other=other, gone=sum(left.values()), first=first)


LEFT_OUT = ".left_out"
"""Behind the name of a split, in records: the rows that were drawn for it and left out afterwards."""

RecordedName = Literal["train", "validation", "holdout", "none"]

KEY_BYTES = 8
"""Of `content_key`, kept for each row: two of a million rows share them once in 37 million records."""
RECORDED_ROWS = 20_000
"""Rows of all splits together up to which the training rows are recorded too."""


class Membership(Value):
    """The rows of each split, by `KEY_BYTES` of what tells them apart.

    That is the content key of the text; by group the group, by time the text and its time
    (`engine.data.row_index.Pool.identity`).
    """

    members: Mapping[RecordedName, frozenset[bytes]]
    """As they were drawn. A split that was too large to be recorded is missing; holdout and validation never are.

    `none` holds the rows that were in no split; it is recorded where `train` is.
    """
    digest: str
    left_out: Mapping[RecordedName, frozenset[bytes]] = field(default_factory=dict)
    """Those of the members that a check or a weight left out after the draw; no entry where there are none.

    They stay recorded, so that the next division draws nothing in their place and is the same again.
    """


def record(
    keys: Mapping[RecordedName, Iterable[bytes]],
    *,
    left_out: Mapping[RecordedName, Iterable[bytes]] | None = None,
) -> Membership:
    """Return the record of splits that are given by the content keys of their rows as drawn."""
    members = {name: frozenset(key[:KEY_BYTES] for key in found) for name, found in keys.items()}
    out = {
        name: members[name] & {key[:KEY_BYTES] for key in found}
        for name, found in (left_out or {}).items()
        if name in members
    }
    return Membership(
        members=members,
        # Over the rows as drawn: what a check leaves out afterwards does not make it another record.
        digest=_digest(_written(members)),
        left_out={name: keys for name, keys in out.items() if keys},
    )


def membership_to_json(membership: Membership) -> dict[str, str]:
    """Return base64 of sorted keys, as files and locks have them; `train.left_out` holds what was left out of train."""
    out = membership.left_out
    kept = {name: keys - out.get(name, frozenset()) for name, keys in membership.members.items()}
    return {**_written(kept), **{f"{name}{LEFT_OUT}": text for name, text in _written(out).items()}}


def membership_from_json(data: Mapping[str, str]) -> Membership:
    """Return what `membership_to_json` wrote. ValueError for text that is not base64 of whole keys."""
    found = {name: keys_of(text) for name, text in data.items()}
    none: frozenset[bytes] = frozenset()
    members = {
        cast("RecordedName", name): keys | found.get(f"{name}{LEFT_OUT}", none)
        for name, keys in found.items()
        if not name.endswith(LEFT_OUT)
    }
    left_out = {
        cast("RecordedName", name.removesuffix(LEFT_OUT)): keys
        for name, keys in found.items()
        if name.endswith(LEFT_OUT) and keys
    }
    return Membership(members=members, digest=_digest(_written(members)), left_out=left_out)


def _written(members: Mapping[RecordedName, frozenset[bytes]]) -> dict[str, str]:
    return {name: joined_parts(keys) for name, keys in sorted(members.items())}


def keys_of(text: str) -> frozenset[bytes]:
    """Return the keys that base64 holds; ValueError where it is none, or not of whole keys."""
    return frozenset(parts_of(text, KEY_BYTES, "keys"))


def parts_of(text: str, size: int, what: str) -> list[bytes]:
    """Return the parts of that size that base64 holds; ValueError where it is none, or not of whole parts."""
    # Without `validate`, foreign characters are skipped in silence and a damaged lock would be read.
    joined = base64.b64decode(text, validate=True)
    if len(joined) % size:
        message = f"{len(joined)} bytes are not a whole number of {what}"
        raise ValueError(message)
    return [joined[at : at + size] for at in range(0, len(joined), size)]


def joined_parts(parts: Iterable[bytes]) -> str:
    """Return base64 of parts, sorted: the same rows give the same text, in whatever order they were read."""
    return base64.b64encode(b"".join(sorted(parts))).decode()


def _digest(written: Mapping[str, str]) -> str:
    lines = "".join(f"{name} {text}\n" for name, text in sorted(written.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
