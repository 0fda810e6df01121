"""Rows that are nearly the same: exactly on few rows, by MinHash and LSH on many."""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.data.examples.example import normalised
from engine.errors import needs_extra
from engine.values import Value

SHINGLE = 5
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
    index = RareShingles(texts, similarity)
    sets = lru_cache(256)(shingles)
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


Hashes = NDArray[np.uint64]
SHARED: Final = 8
"""Rare shingles that a candidate has at least, where the text has so many."""
CHARACTERS: Final = 200_000
"""Characters that are looked up at once."""
MEETINGS: Final = 2_000_000
"""Meetings of a batch with the index that are held at once; the batch is halved above."""
BITS: Final = 22
"""Of a hash, by which most shingles are found not to be in the index."""
GAP: Final = "\0" * (SHINGLE - 1)
"""Between two texts, so that no shingle joins them; with another one, it is the shingle of an empty text."""
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)


def _lowest(text: str) -> Hashes:
    """Return the lowest bytes of each run of `SHINGLE` characters as a number; the text has one such run at least."""
    codes = (text + "\0" * (8 - SHINGLE)).encode("utf-32-le", "surrogatepass")
    lowest = np.ascontiguousarray(np.frombuffer(codes, np.uint8)[::4])
    # A number of eight bytes begins at each byte.
    words = np.ndarray(len(lowest) - 7, "<u8", lowest, strides=(1,))
    return words & np.uint64((1 << 8 * SHINGLE) - 1)


def _slot(lowest: Hashes) -> Hashes:
    return (lowest * _MULTIPLIER) >> np.uint64(64 - BITS)


class RareShingles:
    """Which texts may be similar to which of some normalised ones: those that share several of its rarest shingles.

    Of the shingles of a set, a similar set misses at most the share `1 - similarity`; so of a few more than that, it
    has a few (prefix filtering: Bayardo, Ma and Srikant, WWW 2007). A shingle is known by the lowest byte of each of
    its characters, and counts again where a text repeats it: that makes candidates that are none, and never loses one.
    """

    def __init__(self, texts: Sequence[str], similarity: float) -> None:
        # A shorter text is its only shingle.
        sets = [np.unique(_lowest(text.ljust(SHINGLE, "\0"))) for text in texts]
        every, counts = np.unique(np.concatenate(sets), return_counts=True)
        rare = []
        needed = []
        for text, own in zip(texts, sets, strict=True):
            # `5 * (1 - 0.8)` is a little less than 1 in floats; rounded down, a pair could be missed.
            missing = int(len(shingles(text)) * (1 - similarity) + 1e-9)
            order = np.argsort(counts[np.searchsorted(every, own)], kind="stable")
            rare.append(own[order[: missing + SHARED]])
            # One at least, where shingles that differ have the same bytes: then all of them were taken.
            needed.append(max(1, len(rare[-1]) - missing))
        self._needed = np.array(needed)
        keys, owners = np.concatenate(rare), np.repeat(np.arange(len(sets)), [*map(len, rare)])
        order = np.argsort(keys, kind="stable")
        self._owners = owners[order]
        self._keys, self._first, self._count = np.unique(
            keys[order], return_index=True, return_counts=True
        )
        self._is_there = np.zeros(1 << BITS, np.bool_)
        self._is_there[_slot(self._keys)] = True

    def candidates(self, others: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, int]]:
        """Yield (row, its comparable text, number of the text that it may be similar to), in their order."""
        batch: list[tuple[int, str]] = []
        size = 0
        for row, read in others:
            batch.append((row, comparable(read)))
            size += len(read)
            if size > CHARACTERS:
                yield from self._among(batch)
                batch, size = [], 0
        yield from self._among(batch)

    def _among(self, batch: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str, int]]:
        if not batch:
            return
        texts = [text or "\0" for _, text in batch]
        lowest = _lowest(GAP.join(texts) + GAP)
        ends = np.cumsum([len(text) + len(GAP) for text in texts])
        at = np.flatnonzero(self._is_there[_slot(lowest)])
        key = np.searchsorted(self._keys[:-1], lowest[at])
        is_key = self._keys[key] == lowest[at]
        at, key = at[is_key], key[is_key]
        first, counts, of = self._first[key], self._count[key], np.searchsorted(ends, at, "right")
        # Most texts meet too few shingles in all for any.
        is_enough = np.bincount(of, counts)[of] >= self._needed.min()
        first, counts, of = first[is_enough], counts[is_enough], of[is_enough]
        if counts.sum() > MEETINGS and len(batch) > 1:
            half = len(batch) // 2
            yield from self._among(batch[:half])
            yield from self._among(batch[half:])
            return
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        owners = self._owners[np.repeat(first, counts) + steps]
        met = np.repeat(of, counts) * len(self._needed) + owners
        pairs, shared = np.unique(met, return_counts=True)
        for pair in pairs[shared >= self._needed[pairs % len(self._needed)]].tolist():
            place, number = divmod(pair, len(self._needed))
            yield *batch[place], number
