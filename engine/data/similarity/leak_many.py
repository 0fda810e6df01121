"""The leak check for many rows, by compiled loops; it finds what `engine.data.similarity.leakage` finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from engine.data.similarity.leakage import Match
from engine.data.similarity.near_many import WORKERS, ahead
from engine.data.spill import Texts
from engine.data.spill_blocks import Numbered, comparable_batches, encoded
from engine.runtime.text import leaks as compiled


def many(
    holdout: Sequence[str], rows: Iterable[tuple[int, str]] | Texts, similarity: float
) -> Iterator[Match]:
    """Yield the matches in the order of `rows` and then of `holdout`, whose texts are normalised."""
    texts, ends = encoded(holdout)
    index = compiled.index(texts, ends, similarity)

    def matches(batch: Numbered) -> list[Match]:
        numbers, codes, offsets = batch
        return [
            Match(
                row,
                int(numbers[at]),
                same,
                np.array_equal(
                    texts[ends[row] : ends[row + 1]], codes[offsets[at] : offsets[at + 1]]
                ),
            )
            for at, row, same in sorted(
                zip(*compiled.matches(codes, offsets, index, similarity), strict=True)
            )
        ]

    with ThreadPoolExecutor(WORKERS) as pool:
        for some in ahead(pool, matches, comparable_batches(rows)):
            yield from some
