"""The leak check for many rows, by compiled loops; it finds what `engine.data.similarity.leakage` finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched

from engine.data.similarity.leakage import Match
from engine.data.similarity.near_many import BATCH, WORKERS, ahead, encoded
from engine.runtime.text import leaks as compiled

Numbered = tuple[int, str]


def many(holdout: Sequence[str], rows: Iterable[Numbered], similarity: float) -> Iterator[Match]:
    """Yield the matches in the order of `rows` and then of `holdout`; all texts are normalised."""
    index = compiled.index(*encoded(holdout), similarity)

    def matches(batch: Sequence[Numbered]) -> list[Match]:
        found = compiled.matches(*encoded([text for _, text in batch]), index, similarity)
        return [
            Match(row, batch[at][0], same, holdout[row] == batch[at][1])
            for at, row, same in sorted(zip(*found, strict=True))
        ]

    with ThreadPoolExecutor(WORKERS) as pool:
        for some in ahead(pool, matches, batched(rows, BATCH, strict=False)):
            yield from some
