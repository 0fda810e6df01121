"""The language detector's sums as compiled loops: what py3langid computes, within rounding, in a tenth of its time.

Naive Bayes over byte n-grams, counted by one walk of an automaton over the text (Lui and Baldwin, langid.py, ACL 2012).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.runtime.text.compiled import compiled
from engine.values import Value

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

ROUNDING: Final = 0.01
"""Py3langid sums in 32 bits: its confidence is within a hundredth of this one, in truth within a few millionths."""


ENGLISH: Final = -1
UNKNOWN: Final = -2
UNDECIDED: Final = -3
_NEGLIGIBLE: Final = -25.0
"""A language whose logarithm is so far below that of the likeliest adds nothing that 32 bits could hold."""
LONGEST: Final = 8
"""Letters of the longest word that is looked for."""
_WORD_PLACES: Final = 1024
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""Of a product with it, the upper bits are spread evenly (Knuth, The Art of Computer Programming, 6.4)."""
_UPPER_HALF: Final = np.uint64(32)
_ONE: Final = np.uint64(1)
_FACTORS: Final = np.log1p(np.arange(64)).astype(np.float32)
"""What a feature counts for that is found so many times."""

Bytes = NDArray[np.uint8]
Texts = tuple[Bytes, NDArray[np.int64], NDArray[np.int64]]
"""Bytes, and where each text begins and ends."""
WordTable = tuple[NDArray[np.uint64], NDArray[np.bool_]]
"""Open addressing: words as numbers, 0 for none, and whether each shows English or only may."""
EnglishWords = tuple[WordTable, int, float]
"""English words; how many a text needs, and of what share of its words."""
Bounds = tuple[int, float, float]
"""The letters that a text needs, and from which probability a language is sure and likely."""


def word_table(surely: Iterable[str], maybe: Iterable[str]) -> WordTable:
    """Return ASCII words of up to `LONGEST` letters that show English, and others that may."""
    numbers, shows = np.zeros(_WORD_PLACES, np.uint64), np.zeros(_WORD_PLACES, np.bool_)
    for words, is_sure in ((maybe, False), (surely, True)):
        for word in words:
            number = np.uint64(int.from_bytes(word.encode("ascii")))
            place = _place(numbers, number)
            numbers[place], shows[place] = number, is_sure
    return numbers, shows


class Model(Value):
    """The tables of a detector, as arrays."""

    names: tuple[str, ...]
    tables: tuple[Any, ...]
    """Next states, their rows and features; weights by feature and language; priors; which languages are one."""

    rounding: float = ROUNDING

    def classify_many(self, texts: Texts, words: EnglishWords, bounds: Bounds) -> NDArray[np.int64]:
        """Return a number for each ASCII text, two for a language: it is sure of the first, the second is likely.

        `ENGLISH`, where so many words are English that nothing else is asked; `UNKNOWN`, where there are too few
        letters or no language is likely; `UNDECIDED` where the probability is near a bound.
        """
        return _classes(texts, self.tables, words, bounds, self.rounding)

    def classify(self, text: str) -> tuple[str, float]:
        """Return the likeliest language and its probability; 0 where the text has no feature."""
        text = unicodedata.normalize("NFC", text.lower() if text.isupper() else text)
        data = np.frombuffer(text.encode(errors="surrogatepass"), np.uint8)
        language, confidence = _likeliest(data, *self.tables)
        return self.names[language], confidence


def read_model(detector: LanguageIdentifier) -> Model:
    """Return the tables of a detector. AttributeError where it is of a version that has others."""
    names = tuple(detector.nb_classes)
    return Model(
        names=names,
        tables=(
            (
                np.asarray(detector.tk_nextmove, np.uint32),
                np.asarray(detector.tk_row, np.int64) << 8,
                np.asarray(detector.tk_output, np.int64),
            ),
            np.asarray(detector.nb_ptc, np.float32),
            np.asarray(detector.nb_pc, np.float32),
            # a language may stand there twice, for two scripts: its probabilities are added
            np.array([names.index(name) for name in names], np.int64),
        ),
    )


Table = NDArray[np.uint64]
Found = NDArray[np.int64]
Automaton = tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]


@compiled
def _place(table: Table, value: np.uint64) -> np.uint64:
    """Return where a number that is not 0 stands in a table of open addressing, or where there is room for it."""
    mask = np.uint64(len(table) - 1)
    place = (value * _SPREAD >> _UPPER_HALF) & mask
    while table[place] != 0 and table[place] != value:
        place = (place + _ONE) & mask
    return place


@compiled
def _found_features(text: Bytes, automaton: Automaton) -> tuple[Found, Found]:
    """Return the features of a text in the order in which they are first found, and how often each is."""
    states, rows, features = automaton
    size = 64
    while size < 2 * len(text):
        size *= 2
    table, times = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    seen = np.empty(len(text) + 1, np.uint64)
    count = 0
    state = np.int64(0)
    for letter in text:
        state = np.int64(states[rows[state] + letter])
        if features[state] >= 0:
            feature = np.uint64(features[state] + 1)
            place = _place(table, feature)
            table[place] = feature
            seen[count] = place
            count += times[place] == 0
            times[place] += 1
    found, often = np.empty(count, np.int64), np.empty(count, np.int64)
    for at in range(count):
        found[at], often[at] = table[seen[at]] - _ONE, times[seen[at]]
    return found, often


@compiled
def _likeliest(
    text: Bytes,
    automaton: Automaton,
    weights: NDArray[np.float32],
    priors: NDArray[np.float32],
    same: NDArray[np.int64],
) -> tuple[int, float]:
    """Return the likeliest language and its probability."""
    found, often = _found_features(text, automaton)
    if not len(found):
        return 0, 0.0
    scores = priors.copy()
    for at in range(len(found)):
        times = often[at]
        factor = _FACTORS[times] if times < len(_FACTORS) else np.float32(math.log1p(times))
        row = weights[found[at]]
        for number in range(len(scores)):
            scores[number] += factor * row[number]
    most, scale = scores.max(), np.float32(1 / math.sqrt(len(text)))
    likely = np.zeros(len(scores), np.float32)
    for number in range(len(scores)):
        power = (scores[number] - most) * scale
        if power > _NEGLIGIBLE:
            likely[same[number]] += math.exp(power)
    best = int(likely.argmax())
    return best, float(likely[best] / likely.sum())


@compiled
def _english(text: Bytes, words: EnglishWords) -> tuple[bool, int, bool]:
    """Return whether so many words are English, how many letters there are, and whether all are capitals."""
    (numbers, shows), least, share = words
    count = known = sure = letters = small = length = 0
    word = np.uint64(0)
    for at in range(len(text) + 1):
        letter = text[at] if at < len(text) else np.uint8(32)
        folded = letter | np.uint8(32)
        if 97 <= folded <= 122:
            letters += 1
            small += letter == folded
            length += 1
            word = (word << np.uint64(8)) | np.uint64(folded)
        elif length:
            count += 1
            if length <= LONGEST:
                place = _place(numbers, word)
                known += numbers[place] == word
                sure += shows[place]
            length, word = 0, np.uint64(0)
    is_english = sure > 0 and known >= least and known >= share * count
    return is_english, letters, letters > 0 and small == 0


@compiled
def _classes(
    texts: Texts,
    tables: tuple[Automaton, NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]],
    words: EnglishWords,
    bounds: Bounds,
    rounding: float,
) -> NDArray[np.int64]:
    data, starts, ends = texts
    automaton, weights, priors, same = tables
    least, sure, likely = bounds
    found = np.full(len(starts), UNKNOWN, np.int64)
    for row in range(len(starts)):
        text = data[starts[row] : ends[row]]
        is_english, letters, is_capitals = _english(text, words)
        if is_english:
            found[row] = ENGLISH
        elif letters >= least:
            if is_capitals:
                text = np.where((text >= 65) & (text <= 90), text + 32, text).astype(np.uint8)
            language, confidence = _likeliest(text, automaton, weights, priors, same)
            if min(abs(confidence - sure), abs(confidence - likely)) <= rounding:
                found[row] = UNDECIDED
            elif confidence >= likely:
                found[row] = 2 * language + (confidence < sure)
    return found
