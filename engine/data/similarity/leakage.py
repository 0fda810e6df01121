"""Rows of the training data that stand in the holdout too, exactly or nearly.

Nearly: the Jaccard similarity of the sets of 5-character shingles of the normalised texts is at
least 0.8 (one changed word in a text of a hundred characters). Every such pair is found: of the
shingles of a holdout text at most a fifth can be missing in a similar text, so one of its rarest
fifth (and one more) must stand in it, and only those are indexed (prefix filtering: Bayardo, Ma and
Srikant, Scaling up all pairs similarity search, WWW 2007). The holdout is the small side and held
in memory; the other rows are streamed past it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from engine.data.similarity.shingles import (
    SIMILAR,
    comparable,
    prefix_length,
    rarest_first,
    shingles,
    similarity_of,
)
from engine.values import Value


class Match(Value, kw_only=False):
    """A row of the holdout and one of the others that is equal or similar, by their numbers."""

    holdout: int
    other: int
    similarity: float
    exact: bool
    """The normalised texts are equal (sets of shingles may be equal though the texts are not)."""


def leaks(
    holdout: Sequence[str],
    others: Iterable[tuple[int, str]],
    *,
    similarity: float = SIMILAR,
) -> Iterator[Match]:
    """Yield every pair of equal or similar texts, in the order of `others` and then of `holdout`.

    `others` are numbered texts, read once and never held: a generator may be passed.
    """
    texts = [comparable(text) for text in holdout]
    sets = [shingles(text) for text in texts]
    frequency = Counter(chain.from_iterable(sets))
    index: dict[str, list[int]] = {}
    for number, own in enumerate(sets):
        for shingle in rarest_first(own, frequency)[: prefix_length(len(own), similarity)]:
            index.setdefault(shingle, []).append(number)
    rare = index.keys()
    for row, read in others:
        text = comparable(read)
        own = shingles(text)
        # Cheap: only texts that share a rare shingle are compared in full.
        found = {number for shingle in rare & own for number in index[shingle]}
        for number in sorted(found):
            exact = text == texts[number]
            same = 1.0 if exact else similarity_of(own, sets[number], similarity)
            if same >= similarity:
                yield Match(number, row, same, exact)
