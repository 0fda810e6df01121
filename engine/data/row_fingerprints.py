"""What tells the rows of the sources apart, in four bytes a row: to name the row that another file changed.

A fingerprint is made of a row's values as they are read, before anything is labelled, checked or
divided. Their order says nothing, so a file that was sorted anew has the same rows.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from engine.data.membership import RECORDED_ROWS, joined_parts, parts_of
from engine.data.reading.row import Row
from engine.values import Value

BYTES = 4


@dataclass(slots=True)
class Fingerprints:
    """Collects the fingerprints of rows that pass; of too many it keeps only the number."""

    rows: int = 0
    _kept: list[bytes] = field(default_factory=list)

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows as they are."""
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
    """How rows differ from those that were recorded."""

    other: int
    """Rows that were not recorded."""
    gone: int
    """Recorded rows that are not there."""
    first: str
    """Origin of the first of `other`; empty for none."""

    @property
    def rows(self) -> int:
        """A changed row is one that is there instead of one that is gone."""
        return max(self.other, self.gone)


def fingerprint(row: Row) -> bytes:
    """Return the first bytes of the sha256 of a row's values, by column."""
    # `repr` for what JSON has no form for (times and bytes of Parquet); sorted, as the order of
    # columns says nothing.
    values = json.dumps(dict(row.values), sort_keys=True, default=repr, ensure_ascii=False)
    return hashlib.sha256(values.encode(errors="surrogatepass")).digest()[:BYTES]


def read_fingerprints(written: str) -> Counter[bytes]:
    """Return recorded fingerprints and how often each is there; ValueError for text that is none."""
    return Counter(parts_of(written, BYTES, "fingerprints"))


def differing(rows: Iterable[Row], recorded: str) -> RowDifference:
    """Compare rows with recorded fingerprints."""
    left = read_fingerprints(recorded)
    other, first = 0, ""
    # A counter, not a set: a row that stands there twice must be found twice.
    for row in rows:
        mark = fingerprint(row)
        if left[mark] > 0:
            left[mark] -= 1
            continue
        other += 1
        first = first or row.origin
    return RowDifference(other=other, gone=sum(left.values()), first=first)
