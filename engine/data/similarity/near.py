"""Rows that are nearly the same: exactly on few rows, by MinHash and LSH on many."""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final, Protocol

from engine.data.examples.example import normalised
from engine.errors import needs_extra
from engine.values import Value

SHINGLE = 5
SETS: Final = 256
"""Sets of shingles that are kept while pairs are compared."""
SIMILAR = 0.8
UNSEEN: Final = re.compile("[\u00ad\u200b\u2060\ufeff]")
"""Characters of no width that belong to no word: a copied row with one of them is the same row."""


class Match(Value, kw_only=False):
    holdout: int
    other: int
    similarity: float
    exact: bool
    """The normalised texts are equal (sets of shingles may be equal though the texts are not)."""


def leaks(
    holdout: Sequence[str], others: Iterable[tuple[int, str]], *, similarity: float = SIMILAR
) -> Iterator[Match]:
    """Yield every pair of equal or similar texts, in the order of `others` and then of `holdout`."""
    texts = [comparable(text) for text in holdout]
    if not texts:
        return
    from engine.data.similarity.rare_shingles import RareShingles  # NumPy: late

    index = RareShingles(texts, similarity)
    sets = lru_cache(SETS)(shingles)
    for row, read, number in index.candidates(others):
        exact = read == texts[number]
        same = 1.0 if exact else similarity_of(sets(read), sets(texts[number]), similarity)
        if same >= similarity:
            yield Match(number, row, same, exact)


def comparable(text: str) -> str:
    """Return what texts are compared by: normalised, without characters that nobody sees."""
    return normalised(text if text.isascii() else UNSEEN.sub("", text))


def shingles(text: str) -> set[str]:
    """Return the 5-character substrings of a normalised text; a shorter text is its only one."""
    if len(text) <= SHINGLE:
        return {text}
    return {text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}


def similarity_of(one: AbstractSet[str], other: AbstractSet[str], at_least: float) -> float:
    """Return the Jaccard similarity of two sets; 0.0 when their sizes alone keep it below."""
    if at_least * len(one) > len(other) or at_least * len(other) > len(one):
        return 0.0
    both = len(one & other)
    return both / (len(one) + len(other) - both)


MANY = 5_000
"""Rows from which the compiled way pays for its start (one to two seconds)."""


class TextStore(Protocol):
    """Texts by row number, in memory or on disk; a list is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> str: ...

    def __iter__(self) -> Iterator[str]: ...


class Near(Value, kw_only=False):
    first: int
    second: int
    similarity: float
    exact: bool


def near_duplicates(texts: TextStore, *, similarity: float = SIMILAR) -> tuple[Iterable[Near], int]:
    """Return the pairs of near rows, in the order of their numbers, and how many groups of alike rows were too large.

    Rows of equal text make no squares: each later one is paired with the first only, and only the
    first is compared with other texts. Up to `MANY` rows every pair is found; above, at least
    99 % of the pairs at the threshold and more above it (docs/explanation/near-duplicates.md).
    """
    if len(texts) >= MANY:
        what = f"looking for near-duplicates among {len(texts):,} rows needs numba"
        with needs_extra(what, "data", instead=", or write `near_duplicates: off`"):
            from engine.data.similarity.near_many import many  # numba: an extra
        return many(texts, similarity)
    first: dict[str, int] = {}
    pairs: list[Near] = []
    for row, text in enumerate(texts):
        known = first.setdefault(comparable(text), row)
        if known != row:
            pairs.append(Near(known, row, 1.0, exact=True))
    different, rows = list(first), list(first.values())
    for match in leaks(different, enumerate(different), similarity=similarity):
        if match.holdout < match.other:
            same = match.similarity
            pairs.append(Near(rows[match.holdout], rows[match.other], same, exact=False))
    return sorted(pairs, key=lambda near: (near.first, near.second)), 0
