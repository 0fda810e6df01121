"""What makes two texts similar: their 5-character shingles, compared by Jaccard similarity."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from engine.data.examples.example import normalised

SHINGLE = 5
SIMILAR = 0.8
UNSEEN: Final = re.compile("[\u00ad\u200b\u2060\ufeff]")
"""Characters of no width that belong to no word: a copied row with one of them is the same row."""


def comparable(text: str) -> str:
    """Return what texts are compared by: normalised, without characters that nobody sees."""
    return normalised(text if text.isascii() else UNSEEN.sub("", text))


def shingles(text: str) -> set[str]:
    """Return the 5-character substrings of a normalised text; a shorter text is its only one."""
    if len(text) <= SHINGLE:
        return {text}
    return {text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}


def rarest_first(found: Iterable[str], frequency: Mapping[str, int]) -> list[str]:
    """Return shingles by their frequency, and those of one frequency in the order of texts."""
    # Sorted twice by single values: with pairs of both it takes twice as long.
    found = sorted(found)
    found.sort(key=frequency.__getitem__)
    return found


def prefix_length(size: int, similarity: float) -> int:
    """Return how many shingles of a set of `size` a similar set cannot miss all of.

    Of `size` shingles a similar set misses at most the share `1 - similarity`; so of any one more
    it has at least one (prefix filtering: Bayardo, Ma and Srikant, WWW 2007).
    """
    # `5 * (1 - 0.8)` is a little less than 1 in floats; rounded down, a pair could be missed.
    return int(size * (1 - similarity) + 1e-9) + 1


def similarity_of[T](one: AbstractSet[T], other: Collection[T], at_least: float) -> float:
    """Return the Jaccard similarity of two sets; 0.0 when their sizes alone keep it below.

    `other` holds no element twice.
    """
    if at_least * len(one) > len(other) or at_least * len(other) > len(one):
        return 0.0
    both = len(one & other) if isinstance(other, AbstractSet) else sum(map(one.__contains__, other))
    return both / (len(one) + len(other) - both)
