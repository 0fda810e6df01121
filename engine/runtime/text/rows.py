"""Compiled loops over blocks of the spill file: where fields stand, and ASCII texts as they are compared.

A block is the bytes of rows one after the other (`engine.data.spill`). What is not ASCII is left to Python, whose
results are put in their places.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.runtime.text.compiled import compiled

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]
Flags = NDArray[np.bool_]
Ends = NDArray[np.int64]
"""Of each row where it begins and where each of its first fields ends."""
FOLDED: Final = np.frombuffer(
    b"".join(b" " if chr(at).isspace() else chr(at).lower().encode("latin-1") for at in range(128))
    + bytes(range(128, 256)),
    np.uint8,
)
"""Of each byte of ASCII the small letter, and one kind of space for those at which `str.split` divides."""
Characters = NDArray[Any]
"""Bytes or code points."""
Given = tuple[NDArray[np.int64], Characters, Offsets]
"""What Python makes of some rows: their places, the characters of all, and the offsets."""


@compiled
def field_ends(data: Bytes, starts: Offsets, ends: Offsets, fields: int) -> tuple[Ends, Flags]:
    """Return where each row begins and where its first fields end, and which rows are not written as fields."""
    found = np.empty((len(starts), fields + 1), np.int64)
    others = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        at = starts[row]
        found[row, 0] = at
        if data[at] == 0:
            others[row] = True
            found[row, 1:] = at
            continue
        for number in range(1, fields + 1):
            while at < ends[row] and data[at] != 0:
                at += 1
            found[row, number] = at
            at += 1
    return found, others


@compiled
def not_ascii(data: Bytes, starts: Offsets, ends: Offsets) -> Flags:
    """Return which texts have a byte beyond ASCII."""
    found = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        every = np.uint8(0)
        for at in range(starts[row], ends[row]):
            every |= data[at]
        found[row] = every >= 128
    return found


@compiled
def normalised(
    data: Bytes, starts: Offsets, ends: Offsets, given: Given, out: Characters
) -> Offsets:
    """Write the normalised texts into `out`, one after the other; return their offsets.

    Some texts are given as they shall be written: rows, characters and offsets. All others are ASCII. `out` has
    room for all bytes of `data` and all given characters.
    """
    others, other_data, other_offsets = given
    offsets = np.zeros(len(starts) + 1, np.int64)
    at = other = 0
    for row in range(len(starts)):
        if other < len(others) and others[other] == row:
            for place in range(other_offsets[other], other_offsets[other + 1]):
                out[at] = other_data[place]
                at += 1
            other += 1
        else:
            at = _normalised(data, starts[row], ends[row], out, at)
        offsets[row + 1] = at
    return offsets


@compiled
def _normalised(data: Bytes, start: int, end: int, out: Characters, at: int) -> int:
    """Write an ASCII text with small letters and single spaces; return where it ends."""
    first, before = at, np.uint8(32)
    # No branch in it: a processor guesses the ends of words wrongly.
    for place in range(start, end):
        letter = FOLDED[data[place]]
        out[at] = letter
        at += not (letter == 32 and before == 32)
        before = letter
    return at - (at > first and before == 32)


UNUSUAL: Final = 1
VISIBLE: Final = 2
OF_KEY: Final = 4


def letter_classes(letters: str, keys: Iterable[str]) -> Bytes:
    """Return what each byte says of a text: it is none of the letters, no space, a capital that a key has."""
    classes = np.full(256, UNUSUAL | VISIBLE, np.uint8)
    for letter in letters:
        classes[ord(letter)] = 0 if letter.isspace() else VISIBLE
    for letter in filter(str.isupper, "".join(keys)):
        classes[ord(letter)] |= OF_KEY
    return classes


@compiled
def plain(
    data: Bytes, starts: Offsets, ends: Offsets, classes: Bytes, keys: tuple[Bytes, Offsets]
) -> Flags:
    """Return which texts are of usual letters alone, have one that is no space, and hold none of the keys.

    Each key has a capital.
    """
    key_bytes, key_offsets = keys
    found = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        every = np.uint8(0)
        for at in range(starts[row], ends[row]):
            every |= classes[data[at]]
        is_plain = every & UNUSUAL == 0 and every & VISIBLE != 0
        if is_plain and every & OF_KEY != 0:
            for at in range(starts[row], ends[row]):
                is_plain = is_plain and not _begins(data[at : ends[row]], key_bytes, key_offsets)
        found[row] = is_plain
    return found


@compiled
def _begins(text: Bytes, keys: Bytes, offsets: Offsets) -> bool:
    """Tell whether a text begins with one of the keys."""
    for number in range(len(offsets) - 1):
        key = keys[offsets[number] : offsets[number + 1]]
        if len(key) <= len(text) and np.all(text[: len(key)] == key):
            return True
    return False


@compiled
def record_lines(
    texts: tuple[Bytes, Offsets, Offsets],
    labels: tuple[NDArray[np.int64], Bytes, Offsets],
    origin: tuple[Bytes, NDArray[np.int64]],
    given: Given,
) -> tuple[Bytes, Offsets]:
    """Return rows of one label as the spill file holds them (`engine.data.spill`), and where each begins and ends.

    Given are other rows of that file, by their place. Rows with no label that are not given are left out.
    The origin is its beginning and the number of the row.
    """
    data, starts, ends = texts
    label_of, label_bytes, label_offsets = labels
    begin, numbers = origin
    others, other_data, other_offsets = given
    longest = 0
    for number in range(len(label_offsets) - 1):
        longest = max(longest, label_offsets[number + 1] - label_offsets[number])
    most = len(begin) + 20 + 2 * longest + 5
    out = np.empty((ends - starts).sum() + most * len(starts) + len(other_data), np.uint8)
    offsets = np.zeros(len(starts) + 1, np.int64)
    at = kept = other = 0
    for row in range(len(starts)):
        if other < len(others) and others[other] == row:
            at = _copied(other_data[other_offsets[other] : other_offsets[other + 1]], out, at)
            other += 1
        elif label_of[row] >= 0:
            label = label_bytes[label_offsets[label_of[row]] : label_offsets[label_of[row] + 1]]
            at = _digits(numbers[row], out, _copied(begin, out, at))
            at = _ended(out, _copied(data[starts[row] : ends[row]], out, _ended(out, at, 1)), 1)
            at = _copied(label, out, _ended(out, _copied(label, out, at), 3))
        else:
            continue
        kept += 1
        offsets[kept] = at
    return out[:at], offsets[: kept + 1]


@compiled
def _copied(text: Bytes, out: Bytes, at: int) -> int:
    for place in range(len(text)):
        out[at + place] = text[place]
    return at + len(text)


@compiled
def _ended(out: Bytes, at: int, fields: int) -> int:
    """End so many fields."""
    for _ in range(fields):
        out[at] = 0
        at += 1
    return at


@compiled
def _digits(number: int, out: Bytes, at: int) -> int:
    length, rest = 1, number // 10
    while rest:
        length, rest = length + 1, rest // 10
    for place in range(length - 1, -1, -1):
        out[at + place] = 48 + number % 10
        number //= 10
    return at + length


@compiled
def holding(data: Bytes, starts: Offsets, ends: Offsets, words: tuple[Bytes, Offsets]) -> Flags:
    """Return which ASCII texts hold one of the words, of small letters and two at least, whatever their capitals."""
    word_bytes, offsets = words
    pairs = np.zeros(1 << 16, np.bool_)
    for start in offsets[:-1]:
        pairs[np.int64(word_bytes[start]) << 8 | word_bytes[start + 1]] = True
    found = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        before = np.int64(0)
        for at in range(starts[row], ends[row]):
            letter = np.int64(FOLDED[data[at]])
            if pairs[before << 8 | letter] and _has_word(data[at - 1 : ends[row]], words):
                found[row] = True
                break
            before = letter
    return found


@compiled
def _has_word(text: Bytes, words: tuple[Bytes, Offsets]) -> bool:
    """Tell whether a text begins with one of the words."""
    word_bytes, offsets = words
    for number in range(len(offsets) - 1):
        word = word_bytes[offsets[number] : offsets[number + 1]]
        same = 0
        while same < min(len(word), len(text)) and FOLDED[text[same]] == word[same]:
            same += 1
        if same == len(word):
            return True
    return False
