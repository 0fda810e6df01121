"""Rows that are nearly the same: exactly on few rows, by MinHash and LSH on many.

Two texts are near when the Jaccard similarity of the sets of 5-character shingles of their
normalised texts is at least 0.8. A pair is only yielded after its similarity was computed from the
shingles themselves, whatever found it, so precision is 1 on both ways.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

from engine.data.similarity.shingles import (
    SIMILAR,
    comparable,
    prefix_length,
    rarest_first,
    shingles,
    similarity_of,
)
from engine.errors import needs_extra
from engine.values import Value

MANY = 5_000
"""Rows from which the compiled way pays for its start (one to two seconds)."""


class TextStore(Protocol):
    """Texts by row number, in memory or on disk; a list is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> str: ...

    def __iter__(self) -> Iterator[str]:
        """Yield the texts in the order of their rows."""
        ...


class Near(Value, kw_only=False):
    """Two rows, `first < second`, whose texts are equal or similar."""

    first: int
    second: int
    similarity: float
    exact: bool
    """The normalised texts are equal (sets of shingles may be equal though the texts are not)."""


@dataclass(slots=True)
class NearDuplicates:
    """The pairs, to be iterated once, and what the search left out."""

    pairs: Iterator[Near]
    capped: int = 0
    """Groups of alike rows too large to compare each with each; known when all pairs are out."""

    def __iter__(self) -> Iterator[Near]:
        return self

    def __next__(self) -> Near:
        return next(self.pairs)


def near_duplicates(
    texts: TextStore, *, similarity: float = SIMILAR, scratch: Path | None = None
) -> NearDuplicates:
    """Return the pairs of near rows, in the order of their row numbers.

    Rows of equal text make no squares: each later one is paired with the first only, and only the
    first is compared with other texts. Up to `MANY` rows every pair is found; above, at least
    99 % of the pairs at the threshold and more above it (docs/explanation/near-duplicates.md).
    `scratch` is the folder for temporary files of the large way (about 80 bytes a row).
    """
    result = NearDuplicates(iter(()))
    if len(texts) < MANY:
        result.pairs = _few(texts, similarity)
        return result
    what = f"looking for near-duplicates among {len(texts):,} rows needs NumPy and numba"
    with needs_extra(what, "data", instead=", or write `near_duplicates: off`"):
        from engine.data.similarity.near_many import many  # NumPy and numba: an extra
    result.pairs = many(texts, similarity, scratch=scratch, result=result)
    return result


def _few(texts: TextStore, similarity: float) -> Iterator[Near]:
    """Yield every pair, by prefix filtering (see `engine.data.similarity.leakage`)."""
    first: dict[str, int] = {}
    pairs: list[Near] = []
    for row, text in enumerate(texts):
        known = first.setdefault(comparable(text), row)
        if known != row:
            pairs.append(Near(known, row, 1.0, exact=True))
    pairs += _similar(list(first), list(first.values()), similarity)
    yield from sorted(pairs, key=lambda near: (near.first, near.second))


def _similar(texts: list[str], numbers: list[int], similarity: float) -> Iterator[Near]:
    """Yield the similar pairs of distinct texts; the rarest shingles of each are compared first."""
    ranked = _ranked(texts)
    index: dict[int, list[int]] = defaultdict(list)
    # Asked before added: each pair is seen once, and no text meets itself.
    for later, own in enumerate(ranked):
        prefix = own[: prefix_length(len(own), similarity)]
        candidates = {earlier for rank in prefix for earlier in index.get(rank, ())}
        members = set(own)
        for earlier in candidates:
            same = similarity_of(members, ranked[earlier], similarity)
            if same >= similarity:
                yield Near(numbers[earlier], numbers[later], same, exact=False)
        for rank in prefix:
            index[rank].append(later)


def _ranked(texts: list[str]) -> list[array[int]]:
    """Return the shingles of each text as numbers, the rarest lowest and first."""
    frequency = Counter(chain.from_iterable(map(shingles, texts)))
    rank = {one: number for number, one in enumerate(rarest_first(frequency, frequency))}
    return [array("I", sorted(map(rank.__getitem__, shingles(text)))) for text in texts]
