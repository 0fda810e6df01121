"""Whether a text stands too near rows that judge: yes or no, and nothing else.

Too near is an equal text, one of nearly the same shingles, and a reworded one: of the words of both texts, the rare
ones counted for more, as many are the same as in nearly no pair of a training row and a row that judges. Texts of
one domain share words anyway, so the bound is taken from the training rows, within limits. A paraphrase in other
words altogether is not found.

Only this module holds the texts: who asks learns nothing of them but the answers.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256

from engine.data.examples.example import normalised
from engine.data.similarity.near import leaks

WORD = re.compile(r"\w+")
LEAST, MOST = 0.5, 0.8
"""The bound on the share of common words lies between them."""
USUAL = 0.99
"""This share of the training rows is less near to its nearest row that judges."""
SAMPLE = 500
FEW_WORDS = 4
"""Texts of fewer words are compared by their shingles only."""


class TooNear:
    """Asked for texts; built from rows that judge, and training rows that say how near is usual."""

    def __init__(self, judging: Sequence[str], train: Sequence[str]) -> None:
        self._texts = list(judging)
        self._reworded = _Reworded(judging, train)

    def __call__(self, texts: Sequence[str]) -> tuple[bool, ...]:
        if not self._texts:
            return (False,) * len(texts)
        near = {match.other for match in leaks(self._texts, enumerate(texts))}
        return tuple(
            place in near or self._reworded.holds(text) for place, text in enumerate(texts)
        )


class _Reworded:
    """Finds a text whose words are mostly those of another, in any order."""

    def __init__(self, judging: Sequence[str], train: Sequence[str]) -> None:
        known = [*map(_words, judging)]
        shown = [*map(_words, train)]
        rows = [*known, *shown]
        counts = Counter(word for row in rows for word in row)
        most = math.log(1 + len(rows)) + 1
        self._weight = {word: most - math.log(count) for word, count in counts.items()} | {"": most}
        self._rows = [row for row in known if len(row) >= FEW_WORDS]
        self._by_word: dict[str, list[int]] = defaultdict(list)
        for number, row in enumerate(self._rows):
            for word in row:
                self._by_word[word].append(number)
        ranked = sorted(
            shown, key=lambda row: sha256(" ".join(sorted(row)).encode(errors="replace")).digest()
        )
        self._bound = self._usual(ranked[:SAMPLE])

    def holds(self, text: str) -> bool:
        words = _words(text)
        return len(words) >= FEW_WORDS and self._nearest(words, self._bound) >= self._bound

    def _usual(self, shown: Sequence[frozenset[str]]) -> float:
        nearest = sorted(self._nearest(words, LEAST) for words in shown if len(words) >= FEW_WORDS)
        if not nearest:
            return LEAST
        place = min(len(nearest) - 1, math.ceil(USUAL * len(nearest)) - 1)
        # a training row as near as the bound is usual, so the bound lies above it
        return min(MOST, max(LEAST, math.nextafter(nearest[place], 1.0)))

    def _nearest(self, words: frozenset[str], least: float) -> float:
        """Return the largest share of common words; one below `least` may be returned as 0."""
        total = self._sum(words)
        found = {number for word in self._rarest(words, least) for number in self._by_word[word]}
        shares = (self._share(words, total, self._rows[number]) for number in found)
        return max(shares, default=0.0)

    def _rarest(self, words: frozenset[str], least: float) -> Iterable[str]:
        """Yield the words of which a row with that much in common has one (prefix filtering)."""
        left = self._sum(words)
        must = least * left
        for word in sorted(words, key=lambda one: (-self._of(one), one)):
            if left < must:
                return
            if word in self._by_word:
                yield word
            left -= self._of(word)

    def _share(self, words: frozenset[str], total: float, row: frozenset[str]) -> float:
        common = self._sum(words & row)
        return common / (total + self._sum(row) - common)

    def _sum(self, words: Iterable[str]) -> float:
        # in one order: sums of floats depend on it, and sets have none
        return sum(map(self._of, sorted(words)))

    def _of(self, word: str) -> float:
        return self._weight.get(word, self._weight[""])


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(normalised(text)))
