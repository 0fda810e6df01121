"""Rows of the training data that stand in the holdout too, exactly or nearly.

Nearly: the Jaccard similarity of the sets of 5-character shingles of the normalised texts is at
least 0.8 (one changed word in a text of a hundred characters). Every such pair is found: of the
shingles of a holdout text at most a fifth can be missing in a similar text, so one of its rarest
fifth (and one more) must stand in it, and only those are indexed (prefix filtering: Bayardo, Ma and
Srikant, Scaling up all pairs similarity search, WWW 2007).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.data.example import Example, normalised

SHINGLE = 5
SIMILAR = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A pair of rows, one of the holdout, one of the data that training sees."""

    holdout: Example
    other: Example
    similarity: float
    """1.0: the normalised texts are equal."""


def find_leaks(holdout: Sequence[Example], others: Sequence[Example]) -> Iterator[Leak]:
    """Yield every pair of equal or similar texts, in the order of `others`."""
    texts = [normalised(example.input) for example in holdout]
    shingles = [_shingles(text) for text in texts]
    index = _index(shingles)
    rare = index.keys()
    for other in others:
        text = normalised(other.input)
        own = _shingles(text)
        found = {number for shingle in rare & own for number in index[shingle]}
        for number in sorted(found):
            same = 1.0 if text == texts[number] else _similarity(own, shingles[number])
            if same >= SIMILAR:
                yield Leak(holdout=holdout[number], other=other, similarity=same)


def _shingles(text: str) -> set[str]:
    if len(text) <= SHINGLE:
        return {text}
    return {text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}


def _index(rows: Sequence[set[str]]) -> dict[str, list[int]]:
    """Return the rows by each of their rarest shingles."""
    frequency = Counter(shingle for row in rows for shingle in row)
    index: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        rarest = sorted(row, key=lambda shingle: (frequency[shingle], shingle))
        for shingle in rarest[: int(len(row) * (1 - SIMILAR) + 1e-9) + 1]:
            index.setdefault(shingle, []).append(number)
    return index


def _similarity(one: set[str], other: set[str]) -> float:
    if SIMILAR * len(one) > len(other) or SIMILAR * len(other) > len(one):
        return 0.0
    both = len(one & other)
    return both / (len(one) + len(other) - both)
