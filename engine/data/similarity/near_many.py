"""Near-duplicates among many rows: MinHash bands, each pair verified from its texts.

Memory holds 80 bytes of band hashes a row (16 more, and about 150 where a band is sorted) and 8 bytes a candidate pair;
texts are read again for the candidates only. What is found depends on the texts alone, not on cores or batches.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched

import numpy as np
from numpy.typing import NDArray

from engine.data.similarity.near import Near, TextStore, comparable
from engine.runtime.text import near_texts as compiled

MISSED = 0.0005
MOST_BANDS = 20
SEED = 20_240_229
LARGEST = 32
"""Rows of a group that are all compared with each other; of a larger one see `LEADERS`."""
LEADERS = 8
"""The first rows of a group with which each row of a large group is compared."""
PAIRS = 20_000
WORKERS = 2

BATCH = 8_192

Hashes = compiled.Hashes
Pairs = NDArray[np.uint64]
"""`first << 32 | second`, so that sorting them sorts by row numbers."""
_HALF = np.uint64(32)
_LOWER = np.uint64(0xFFFFFFFF)


def many(texts: TextStore, similarity: float) -> tuple[Iterator[Near], int]:
    bands, rows = banding(similarity)
    hashes, whole, sketches = _hashes(texts, bands, rows)
    pairs, repeats = _equal(whole)
    most, capped = unlike_bits(similarity, bands * rows), 0

    def in_band(band: NDArray[np.uint32]) -> tuple[Pairs, int]:
        keys = band.astype(np.uint64)
        # In place: with many rows, each copy is a good part of what memory holds.
        keys <<= _HALF
        keys |= np.arange(len(keys), dtype=np.uint64)
        keys = keys[~repeats]
        keys.sort()
        return compiled.bucket_pairs(keys, sketches, most, LARGEST, LEADERS)

    with ThreadPoolExecutor(WORKERS) as pool:
        # The union band by band: no more than the different pairs is held, and the order of the bands is fixed.
        for found, large in pool.map(in_band, hashes):
            pairs = np.union1d(pairs, found)
            capped += large
    return _verified(texts, pairs, similarity), capped


def banding(similarity: float) -> tuple[int, int]:
    """Return bands and rows a band: the most selective that miss at most `MISSED` of the pairs, (1 - s^rows)^bands."""
    rows = bands = 1
    for more in range(1, 17):
        needed = math.ceil(math.log(MISSED) / math.log1p(-(min(similarity, 0.999) ** more)))
        if more == 1 or needed <= MOST_BANDS:
            rows, bands = more, needed
    return bands, rows


def unlike_bits(similarity: float, functions: int) -> int:
    """Return the most bits in which sketches of a similar pair differ: the mean and four deviations."""
    bits, chance = min(64, functions), (1 - similarity) / 2
    return math.ceil(bits * chance + 4 * math.sqrt(bits * chance * (1 - chance)))


def _encoded(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the code points of the texts, one text after the other, and where each begins, and the end."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes, np.cumsum([0, *map(len, texts)])


def _hashes(texts: TextStore, bands: int, rows: int) -> tuple[NDArray[np.uint32], Hashes, Hashes]:
    """Return the hashes of each band, the hash of each whole text, and its sketch."""
    draw = np.random.default_rng(SEED)
    # Odd, so that multiplying is a permutation of the 32-bit numbers.
    multipliers = draw.integers(0, 2**32, bands * rows, dtype=np.uint32) | np.uint32(1)
    addends = draw.integers(0, 2**32, bands * rows, dtype=np.uint32)

    found = np.empty((bands, len(texts)), np.uint32)
    whole, sketches = np.empty((2, len(texts)), np.uint64)
    at = 0
    for batch in batched(texts, BATCH, strict=False):
        codes, offsets = _encoded(list(map(comparable, batch)))
        part = slice(at, at := at + len(batch))
        whole[part], sketches[part], found[:, part] = compiled.band_hashes(
            codes, offsets, multipliers, addends, rows
        )
    return found, whole, sketches


def _equal(whole: NDArray[np.uint64]) -> tuple[Pairs, NDArray[np.bool_]]:
    """Return each repeated text paired with its first row, and which rows are repeats."""
    _, firsts, number = np.unique(whole, return_index=True, return_inverse=True)
    first, row = firsts[number].astype(np.uint64), np.arange(len(whole), dtype=np.uint64)
    repeats = first != row
    return (first[repeats] << _HALF) | row[repeats], repeats


def _verified(texts: TextStore, pairs: Pairs, similarity: float) -> Iterator[Near]:
    """Yield the pairs that are as similar as they must be, by the shingles of their texts."""
    for at in range(0, len(pairs), PAIRS):
        part = pairs[at : at + PAIRS]
        ends = np.stack([part >> _HALF, part & _LOWER]).astype(np.int64)
        rows, places = np.unique(ends, return_inverse=True)
        read = [comparable(texts[row]) for row in rows.tolist()]
        first, second = places.reshape(2, -1)
        sets = compiled.shingle_sets(*_encoded(read))
        same = compiled.similarities(*sets, first, second, similarity)
        for pair in np.flatnonzero(same >= similarity).tolist():
            exact = read[first[pair]] == read[second[pair]]
            yield Near(int(ends[0, pair]), int(ends[1, pair]), float(same[pair]), exact)
