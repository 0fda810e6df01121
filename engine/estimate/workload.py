"""How many rows are trained, how long they are in tokens, and what padding adds to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from engine.values import Value

Lengths = tuple[tuple[int, int], ...]
"""(tokens, rows that have so many), shortest first."""


class Workload(Value):
    """Rows of training and validation with their lengths."""

    train_rows: int | None
    """None while only a fraction of uncounted rows is known."""
    validation_rows: int | None
    train: Lengths
    """A sample where `exact` is not set; empty where nothing is known of lengths."""
    validation: Lengths
    exact: bool
    """Counted by the base model's tokenizer."""
    source: str
    """How lengths are known."""
    shared: int = 0
    """Tokens that all training rows begin with."""
    learned: float = 0.0
    """Tokens of a training row that are learned from; 0 where that is not known."""
    at_most: bool = False
    """Nothing is known of lengths: every row is taken as long as `max_length` allows."""

    @property
    def longest(self) -> int:
        """Tokens of the longest row that trains or validates."""
        return max((tokens for tokens, _ in (*self.train, *self.validation)), default=0)

    @property
    def mean(self) -> float:
        """Tokens of a training row."""
        return mean(self.train)

    @property
    def train_tokens(self) -> int | None:
        """Tokens of an epoch, without padding."""
        return None if self.train_rows is None else round(self.train_rows * self.mean)


def lengths_of(counted: Mapping[int, int]) -> Lengths:
    """Return lengths in order."""
    return tuple(sorted(counted.items()))


def capped(lengths: Lengths, limit: int) -> Lengths:
    """Return lengths with none above the limit: longer rows are cut or left out."""
    counted: Counter[int] = Counter()
    for tokens, rows in lengths:
        counted[min(tokens, limit)] += rows
    return lengths_of(counted)


def without_longer(lengths: Lengths, limit: int) -> Lengths:
    """Return lengths without those above the limit."""
    return tuple((tokens, rows) for tokens, rows in lengths if tokens <= limit)


def in_blocks(lengths: Lengths, limit: int) -> Lengths:
    """Return the lengths of the blocks that documents are cut into."""
    counted: Counter[int] = Counter()
    for tokens, rows in lengths:
        whole, rest = divmod(tokens, limit)
        counted[limit] += whole * rows
        counted[rest] += rows if rest else 0
    return lengths_of(+counted)


def packed(lengths: Lengths, limit: int) -> Lengths:
    """Return the lengths of the rows that documents are packed into: full ones, but for the last."""
    whole, rest = divmod(sum(tokens * rows for tokens, rows in lengths), limit)
    return lengths_of(+Counter({limit: whole, rest: 1 if rest else 0}))


def rows_in(lengths: Lengths) -> int:
    """Return how many rows they are."""
    return sum(count for _, count in lengths)


def mean(lengths: Lengths) -> float:
    """Return the mean number of tokens; 0 for none."""
    rows = rows_in(lengths)
    return sum(tokens * count for tokens, count in lengths) / rows if rows else 0.0


def padded(lengths: Lengths, together: int) -> float:
    """Return the expected length that `together` rows drawn at random are padded to."""
    rows = rows_in(lengths)
    if not rows:
        return 0.0
    expected, below = 0.0, 0.0
    seen = 0
    for tokens, count in lengths:
        seen += count
        # The chance that none of the rows drawn is longer.
        share = (seen / rows) ** together
        expected += tokens * (share - below)
        below = share
    return expected
