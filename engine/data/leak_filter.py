"""The rows of a stream that can match the holdout at all, found by compiled loops.

A bitmap holds the shingles of the whole holdout; a row with more than a fifth of its shingles
outside it is similar to no row of the holdout. Nothing that matches is ever left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched

import numpy as np

from engine.data.near_many import BATCH, ahead, encoded
from engine.runtime import near as compiled

BITS_A_SHINGLE = 32
"""Of the bitmap: about one shingle in 32 that is not in the holdout is taken for one that is."""

Numbered = tuple[int, str]


def maybe_similar(
    holdout: Sequence[str], rows: Iterable[Numbered], similarity: float
) -> Iterator[Numbered]:
    """Yield those of `rows`, in order, that may match; all texts are normalised ones."""
    bitmap = _bitmap(holdout)

    def kept(batch: Sequence[Numbered]) -> list[Numbered]:
        codes, offsets = encoded([text for _, text in batch])
        may = compiled.maybe_similar(codes, offsets, bitmap, similarity)
        return [batch[at] for at in np.flatnonzero(may).tolist()]

    with ThreadPoolExecutor(1) as pool:
        for some in ahead(pool, kept, batched(rows, BATCH, strict=False)):
            yield from some


def _bitmap(texts: Sequence[str]) -> compiled.Hashes:
    shingles, _ = compiled.shingle_sets(*encoded(texts))
    bits = max(1 << 16, 1 << (BITS_A_SHINGLE * len(np.unique(shingles))).bit_length())
    bitmap = np.zeros(bits // 64, np.uint64)
    compiled.set_bits(shingles, bitmap)
    return bitmap
