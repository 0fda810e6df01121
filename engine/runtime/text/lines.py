"""Compiled loops over lines: examples as JSON, and texts in the order of their bytes.

Rows are those of a block of the spill file (`engine.data.spill_blocks`).
"""

from __future__ import annotations

import json
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.runtime.text.compiled import compiled
from engine.runtime.text.rows import Bytes, Flags, Given, Offsets

_escapes = [json.dumps(chr(at), ensure_ascii=False)[1:-1].encode("latin-1") for at in range(128)]
_escapes += [bytes((at,)) for at in range(128, 256)]
ESCAPED: Final = np.frombuffer(b"".join(_escapes), np.uint8)
"""What JSON writes for each byte of UTF-8, one after the other."""
ESCAPED_ENDS: Final = np.cumsum([0, *map(len, _escapes)])
LONGEST: Final = max(map(len, _escapes))
_FIELDS: Final = ('{"id": "', '", "origin": "', '", "input": "', '", "target": "')
PIECES: Final = tuple(
    np.frombuffer(piece.encode("ascii"), np.uint8)
    for piece in (*_FIELDS, '", "labels": ["', '", "', '"]}\n', '"}\n')
)
"""What stands before the fields of an example, before its labels, between them, and at the end."""
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_SHORT: Final = 24
"""Texts that are sorted by comparing each with the others."""


@compiled
def _put(text: Bytes, out: Bytes, at: int) -> int:
    for place in range(len(text)):
        out[at + place] = text[place]
    return at + len(text)


@compiled
def _put_escaped(text: Bytes, out: Bytes, at: int) -> int:
    for letter in text:
        start, end = ESCAPED_ENDS[letter], ESCAPED_ENDS[np.int64(letter) + 1]
        for place in range(start, end):
            out[at] = ESCAPED[place]
            at += 1
    return at


@compiled
def unwritable(data: Bytes, starts: Offsets, ends: Offsets) -> Flags:
    """Return which rows hold half of a pair, which UTF-8 cannot have."""
    found = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        for at in range(starts[row], ends[row] - 1):
            if data[at] == 0xED and data[at + 1] >= 0xA0:
                found[row] = True
    return found


@compiled
def example_lines(
    data: Bytes,
    fields: Offsets,
    ends: Offsets,
    given: Given,
    names: tuple[Bytes, tuple[Bytes, ...]],
) -> tuple[Bytes, Offsets]:
    """Return the lines of examples without a payload, and the offsets; given are those of other rows.

    `names` are the digests, of which the first bytes are the ids, and `PIECES`.
    """
    digests, pieces = names
    others, other_data, other_offsets = given
    rows = len(ends)
    size = np.int64(len(other_data) + 200 * rows)
    for row in range(rows):
        # Of a label each may become longer, and there are five bytes between two.
        size += LONGEST * (ends[row] - fields[row, 0])
    out, offsets = np.empty(size, np.uint8), np.zeros(rows + 1, np.int64)
    at = other = 0
    for row in range(rows):
        if other < len(others) and others[other] == row:
            at = _put(other_data[other_offsets[other] : other_offsets[other + 1]], out, at)
            other += 1
        else:
            at = _put(pieces[0], out, at)
            for byte in digests[row, :8]:
                out[at], out[at + 1] = _HEX[byte >> 4], _HEX[byte & 15]
                at += 2
            at = _put_escaped(data[fields[row, 0] : fields[row, 1]], out, _put(pieces[1], out, at))
            at = _put_escaped(
                data[fields[row, 1] + 1 : fields[row, 2]], out, _put(pieces[2], out, at)
            )
            at = _put_escaped(
                data[fields[row, 2] + 1 : fields[row, 3]], out, _put(pieces[3], out, at)
            )
            at = _put_labels(data[fields[row, 5] : ends[row]], pieces, out, at)
        offsets[row + 1] = at
    return out[:at], offsets


@compiled
def _put_labels(labels: Bytes, pieces: tuple[Bytes, ...], out: Bytes, at: int) -> int:
    """Write the labels, before each of which stands a zero byte, and the end of the line."""
    if not len(labels):
        return _put(pieces[7], out, at)
    start = 0
    for end in range(1, len(labels) + 1):
        if end == len(labels) or labels[end] == 0:
            at = _put(pieces[4] if start == 0 else pieces[5], out, at)
            at = _put_escaped(labels[start + 1 : end], out, at)
            start = end
    return _put(pieces[6], out, at)


@compiled
def split_lines(
    texts: tuple[Bytes, Offsets], data: Bytes, fields: Offsets, given: Given
) -> tuple[Bytes, Offsets]:
    """Return a text, a tab, the target and a line end of each row, and the offsets; given are those of other rows."""
    others, other_data, other_offsets = given
    normalised, places = texts
    rows = len(fields)
    size = len(normalised) + (fields[:, 3] - fields[:, 2]).sum() + 2 * rows + len(other_data)
    out, offsets = np.empty(size, np.uint8), np.zeros(rows + 1, np.int64)
    at = other = 0
    for row in range(rows):
        if other < len(others) and others[other] == row:
            at = _put(other_data[other_offsets[other] : other_offsets[other + 1]], out, at)
            other += 1
        else:
            at = _put(normalised[places[row] : places[row + 1]], out, at)
            out[at] = 9
            at = _put(data[fields[row, 2] + 1 : fields[row, 3]], out, at + 1)
            out[at] = 10
            at += 1
        offsets[row + 1] = at
    return out[:at], offsets


@compiled
def _number(data: Bytes, start: int, end: int) -> np.uint64:
    """Return the next eight bytes of a text as a number; zeros behind its end."""
    value = np.uint64(0)
    for at in range(start, start + 8):
        value = (value << np.uint64(8)) | np.uint64(data[at] if at < end else 0)
    return value


@compiled
def is_before(one: Bytes, other: Bytes) -> bool:
    """Tell whether a text is less than another, by its bytes."""
    for at in range(min(len(one), len(other))):
        if one[at] != other[at]:
            return bool(one[at] < other[at])
    return len(one) < len(other)


@compiled
def sorted_places(data: Bytes, offsets: Offsets) -> NDArray[np.int64]:
    """Return the places of texts in the order of their bytes; by eight bytes at a time."""
    places = np.arange(len(offsets) - 1)
    open_ = [(0, len(places), 0)]
    while open_:
        first, last, depth = open_.pop()
        if last - first <= _SHORT:
            _insert(data, offsets, places[first:last])
            continue
        some = places[first:last].copy()
        keys = np.empty(len(some), np.uint64)
        is_deeper = False
        for at in range(len(some)):
            start, end = offsets[some[at]] + depth, offsets[some[at] + 1]
            keys[at] = _number(data, start, end)
            is_deeper = is_deeper or start + 8 < end
        order = np.argsort(keys)
        places[first:last] = some[order]
        begin = 0
        for at in range(1, len(some) + 1):
            if at == len(some) or keys[order[at]] != keys[order[begin]]:
                if at - begin > 1:
                    if is_deeper:
                        open_.append((first + begin, first + at, depth + 8))
                    else:  # texts that end here: they differ by zeros, if they do
                        _by_length(offsets, places[first + begin : first + at])
                begin = at
    return places


@compiled
def _insert(data: Bytes, offsets: Offsets, places: NDArray[np.int64]) -> None:
    """Sort a few places."""
    for at in range(1, len(places)):
        one, to = places[at], at
        text = data[offsets[one] : offsets[one + 1]]
        while to and is_before(text, data[offsets[places[to - 1]] : offsets[places[to - 1] + 1]]):
            places[to] = places[to - 1]
            to -= 1
        places[to] = one


@compiled
def _by_length(offsets: Offsets, places: NDArray[np.int64]) -> None:
    lengths = np.empty(len(places), np.int64)
    for at in range(len(places)):
        lengths[at] = offsets[places[at] + 1] - offsets[places[at]]
    places[:] = places[np.argsort(lengths)]


@compiled
def parts_of(data: Bytes, offsets: Offsets, bounds: tuple[Bytes, Offsets]) -> NDArray[np.int64]:
    """Return how many of the sorted bounds are not after each text."""
    found = np.empty(len(offsets) - 1, np.int64)
    for number in range(len(found)):
        text = data[offsets[number] : offsets[number + 1]]
        low, high = 0, len(bounds[1]) - 1
        while low < high:
            middle = (low + high) // 2
            if is_before(text, bounds[0][bounds[1][middle] : bounds[1][middle + 1]]):
                high = middle
            else:
                low = middle + 1
        found[number] = low
    return found
