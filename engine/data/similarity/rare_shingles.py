"""Which texts may be similar to which of the holdout: those that share several of its rarest shingles (NumPy).

Of the shingles of a set, a similar set misses at most the share `1 - similarity`; so of a few more than that, it has
a few (prefix filtering: Bayardo, Ma and Srikant, WWW 2007). Hashes of 64 bits stand for shingles, and a shingle that a
text repeats counts again: that makes candidates that are none, and never loses one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.data.similarity.near import SHINGLE, comparable

Hashes = NDArray[np.uint64]
SHARED: Final = 8
"""Rare shingles that a candidate has at least, where the text has so many."""
BATCH: Final = 200_000
"""Characters that are hashed at once."""
MOST: Final = 2_000_000
"""Meetings of a batch with the index that are held at once; the batch is halved above."""
BITS: Final = 22
"""Of a hash, by which most shingles are found not to be in the index."""
GAP: Final = "\0" * (SHINGLE - 1)
"""Between two texts, so that no shingle joins them; with another one, it is the shingle of an empty text."""
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)


def _hashes(text: str) -> Hashes:
    """Return the hash of each run of `SHINGLE` characters; the text has one at least."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    size = len(codes) - SHINGLE + 1
    found = np.zeros(size, np.uint64)
    for step in range(SHINGLE):
        found = found * _MULTIPLIER + codes[step : step + size] + np.uint64(1)
    found = (found ^ (found >> np.uint64(33))) * _MIX
    return found ^ (found >> np.uint64(33))


class RareShingles:
    """The rarest shingles of normalised texts, and whose they are."""

    def __init__(self, texts: Sequence[str], similarity: float) -> None:
        # A shorter text is its only shingle.
        sets = [np.unique(_hashes(text.ljust(SHINGLE, "\0"))) for text in texts]
        every, counts = np.unique(np.concatenate(sets), return_counts=True)
        rare = []
        needed = []
        for own in sets:
            # `5 * (1 - 0.8)` is a little less than 1 in floats; rounded down, a pair could be missed.
            missing = int(len(own) * (1 - similarity) + 1e-9)
            order = np.argsort(counts[np.searchsorted(every, own)], kind="stable")
            rare.append(own[order[: missing + SHARED]])
            needed.append(len(rare[-1]) - missing)
        self._needed = np.array(needed)
        keys, owners = np.concatenate(rare), np.repeat(np.arange(len(sets)), [*map(len, rare)])
        order = np.argsort(keys, kind="stable")
        self._owners = owners[order]
        self._keys, self._first, self._count = np.unique(
            keys[order], return_index=True, return_counts=True
        )
        self._is_there = np.zeros(1 << BITS, np.bool_)
        self._is_there[self._keys >> np.uint64(64 - BITS)] = True

    def candidates(self, others: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, int]]:
        """Yield (row, its comparable text, number of the text that it may be similar to), in their order."""
        batch: list[tuple[int, str]] = []
        size = 0
        for row, read in others:
            batch.append((row, comparable(read)))
            size += len(read)
            if size > BATCH:
                yield from self._among(batch)
                batch, size = [], 0
        yield from self._among(batch)

    def _among(self, batch: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str, int]]:
        if not batch:
            return
        texts = [text or "\0" for _, text in batch]
        hashes = _hashes("".join(f"{text}{GAP}" for text in texts))
        ends = np.cumsum([len(text) + len(GAP) for text in texts])
        at = np.flatnonzero(self._is_there[hashes >> np.uint64(64 - BITS)])
        key = np.searchsorted(self._keys[:-1], hashes[at])
        is_key = self._keys[key] == hashes[at]
        at, key = at[is_key], key[is_key]
        first, counts = self._first[key], self._count[key]
        if counts.sum() > MOST and len(batch) > 1:
            half = len(batch) // 2
            yield from self._among(batch[:half])
            yield from self._among(batch[half:])
            return
        of = np.repeat(np.searchsorted(ends, at, "right"), counts)
        steps = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
        met = of * len(self._needed) + self._owners[np.repeat(first, counts) + steps]
        pairs, shared = np.unique(met, return_counts=True)
        for pair in pairs[shared >= self._needed[pairs % len(self._needed)]].tolist():
            place, number = divmod(pair, len(self._needed))
            yield *batch[place], number
