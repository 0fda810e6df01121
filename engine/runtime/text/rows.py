"""Compiled loops over blocks of the spill file: where fields stand, and ASCII texts as they are compared.

A block is the bytes of rows one after the other (`engine.data.spill`). What is not ASCII is left to Python, whose
results are put in their places.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.runtime.text.compiled import compiled

Bytes = NDArray[np.uint8]
Codes = NDArray[np.uint32]
Offsets = NDArray[np.int64]
Flags = NDArray[np.bool_]
Ends = NDArray[np.int64]
"""Of each row where it begins and where each of its first fields ends."""


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
def _is_space(letter: np.uint8) -> bool:
    """Tell whether `str.split` divides there; of ASCII."""
    return bool(letter == 32 or 9 <= letter <= 13 or 28 <= letter <= 31)


@compiled
def normalised_codes(
    data: Bytes,
    starts: Offsets,
    ends: Offsets,
    others: Offsets,
    other_codes: Codes,
    other_offsets: Offsets,
) -> tuple[Codes, Offsets]:
    """Return the code points of the normalised texts, one text after the other, and their offsets.

    The texts of the rows `others` are given, those of all other rows are ASCII.
    """
    codes = np.empty((ends - starts).sum() + len(other_codes), np.uint32)
    offsets = np.zeros(len(starts) + 1, np.int64)
    out = other = 0
    for row in range(len(starts)):
        if other < len(others) and others[other] == row:
            for at in range(other_offsets[other], other_offsets[other + 1]):
                codes[out] = other_codes[at]
                out += 1
            other += 1
        else:
            out = _normalised(data, starts[row], ends[row], codes, out)
        offsets[row + 1] = out
    return codes[:out], offsets


@compiled
def _normalised(data: Bytes, start: int, end: int, codes: Codes, out: int) -> int:
    """Write an ASCII text with small letters and single spaces; return where it ends."""
    first, is_apart = out, False
    for at in range(start, end):
        letter = data[at]
        if _is_space(letter):
            is_apart = True
            continue
        if is_apart and out > first:
            codes[out] = 32
            out += 1
        is_apart = False
        codes[out] = letter + 32 if 65 <= letter <= 90 else letter
        out += 1
    return out
