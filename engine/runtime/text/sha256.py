"""SHA-256 of many short texts as a compiled loop: the digests of `hashlib`, without an object for each (FIPS 180-4)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.runtime.text.compiled import compiled

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]
Offsets = NDArray[np.int64]
Half = tuple[np.uint32, np.uint32, np.uint32, np.uint32]

SIZE: Final = 32
"""Bytes of a digest."""
BLOCK: Final = 64
LANES: Final = 16
"""Texts that are taken together: numbers of 32 bits in the widest vector."""


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % one for one in found):
            found.append(number)
        number += 1
    return found


def _root_bits(number: int, root: int) -> int:
    """Return the first 32 bits behind the point of a square or cube root."""
    scaled, low = number << (32 * root), 0
    high = 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**root <= scaled else (low, middle)
    return low & 0xFFFFFFFF


ROUNDS: Final = np.array([_root_bits(prime, 3) for prime in _primes(64)], np.uint32)
INITIAL: Final = np.array([_root_bits(prime, 2) for prime in _primes(8)], np.uint32)


@compiled
def _turned(value: np.uint32, right: int) -> np.uint32:
    return np.uint32(value >> np.uint32(right)) | np.uint32(value << np.uint32(32 - right))


@compiled
def _swapped(value: np.uint32) -> np.uint32:
    """Return the four bytes in the other order."""
    inner = (value >> np.uint32(8)) & np.uint32(0xFF00) | (value & np.uint32(0xFF00)) << np.uint32(
        8
    )
    return np.uint32(value >> np.uint32(24) | inner | value << np.uint32(24))


@compiled
def _round(low: Half, high: Half, added: np.uint32) -> tuple[np.uint32, np.uint32]:
    """Return what `d` and `h` of the standard become; `low` are `a` to `d`, `high` are `e` to `h`."""
    a, b, c, d = low
    e, f, g, h = high
    one = _turned(e, 6) ^ _turned(e, 11) ^ _turned(e, 25)
    first = np.uint32(h + one + (g ^ (e & (f ^ g))) + added)
    two = _turned(a, 2) ^ _turned(a, 13) ^ _turned(a, 22)
    majority = (a & b) | (c & (a | b))
    return np.uint32(d + first), np.uint32(first + two + majority)


@compiled
def _add_blocks(words: Words, state: Words, out: Words) -> None:
    """Write the states after one block more of each text into `out`.

    Word and state `n` of text `m` stand at `n * LANES + m`: the loops over the texts become vector instructions.
    There are 16 words of each text, and room for 64.
    """
    for at in range(16 * LANES, 64 * LANES):
        low, high = words[at - 15 * LANES], words[at - 2 * LANES]
        one = _turned(low, 7) ^ _turned(low, 18) ^ np.uint32(low >> np.uint32(3))
        two = _turned(high, 17) ^ _turned(high, 19) ^ np.uint32(high >> np.uint32(10))
        words[at] = np.uint32(words[at - 16 * LANES] + one + words[at - 7 * LANES] + two)
    out[:] = state
    for at in range(0, 64, 4):
        first, second, third, fourth = ROUNDS[at], ROUNDS[at + 1], ROUNDS[at + 2], ROUNDS[at + 3]
        for lane in range(LANES):
            place = at * LANES + lane
            a, b, c, d = out[lane], out[LANES + lane], out[2 * LANES + lane], out[3 * LANES + lane]
            e, f = out[4 * LANES + lane], out[5 * LANES + lane]
            g, h = out[6 * LANES + lane], out[7 * LANES + lane]
            d, h = _round((a, b, c, d), (e, f, g, h), np.uint32(first + words[place]))
            c, g = _round((h, a, b, c), (d, e, f, g), np.uint32(second + words[place + LANES]))
            b, f = _round((g, h, a, b), (c, d, e, f), np.uint32(third + words[place + 2 * LANES]))
            a, e = _round((f, g, h, a), (b, c, d, e), np.uint32(fourth + words[place + 3 * LANES]))
            out[lane], out[LANES + lane], out[2 * LANES + lane], out[3 * LANES + lane] = e, f, g, h
            out[4 * LANES + lane], out[5 * LANES + lane] = a, b
            out[6 * LANES + lane], out[7 * LANES + lane] = c, d
    for at in range(8 * LANES):
        out[at] += state[at]


@compiled
def _put(text: Bytes, out: Bytes, at: int) -> int:
    for place in range(len(text)):
        out[at + place] = text[place]
    return at + len(text)


@compiled
def _padded(before: Bytes, text: Bytes, behind: Bytes, out: Bytes) -> int:
    """Write a text as the standard pads it; return its blocks."""
    length = _put(behind, out, _put(text, out, _put(before, out, 0)))
    blocks = (length + 9 + BLOCK - 1) // BLOCK
    out[length] = 0x80
    out[length + 1 : blocks * BLOCK] = 0
    for at in range(8):
        out[blocks * BLOCK - 1 - at] = (8 * length >> (8 * at)) & 255
    return blocks


@compiled
def _add_texts(numbers: Words, blocks: Offsets, state: Words, room: tuple[Words, Words]) -> None:
    """Take so many blocks of each text into its state."""
    words, found = room
    for block in range(blocks.max()):
        for lane in range(LANES):
            for at in range(16):
                words[at * LANES + lane] = _swapped(numbers[lane, 16 * block + at])
        _add_blocks(words, state, found)
        for lane in range(LANES):
            if block < blocks[lane]:
                for at in range(8):
                    state[at * LANES + lane] = found[at * LANES + lane]


@compiled
def _digests(data: Bytes, starts: Offsets, ends: Offsets, before: Bytes, behind: Bytes) -> Words:
    """Return the digests, 8 numbers a line."""
    out = np.empty((len(starts), 8), np.uint32)
    most = (ends - starts).max() if len(starts) else 0
    width = (most + len(before) + len(behind) + 9 + BLOCK - 1) // BLOCK * BLOCK
    texts = np.zeros((LANES, width), np.uint8)
    numbers, blocks = texts.view(np.uint32), np.zeros(LANES, np.int64)
    words, state = np.zeros(64 * LANES, np.uint32), np.zeros(8 * LANES, np.uint32)
    found = np.empty(8 * LANES, np.uint32)
    for row in range(0, len(starts), LANES):
        count = min(LANES, len(starts) - row)
        for lane in range(count):
            text = data[starts[row + lane] : ends[row + lane]]
            blocks[lane] = _padded(before, text, behind, texts[lane])
            for at in range(8):
                state[at * LANES + lane] = INITIAL[at]
        blocks[count:] = 0
        _add_texts(numbers, blocks, state, (words, found))
        for lane in range(count):
            for at in range(8):
                out[row + lane, at] = _swapped(state[at * LANES + lane])
    return out


def digests(
    data: Bytes, starts: Offsets, ends: Offsets, *, before: bytes = b"", behind: bytes = b""
) -> Bytes:
    """Return the digests of texts, one a line; each text between the bytes `before` and `behind`."""
    around = np.frombuffer(before, np.uint8), np.frombuffer(behind, np.uint8)
    return _digests(data, starts, ends, *around).astype("<u4", copy=False).view(np.uint8)


def drawn(before: bytes, found: Bytes) -> NDArray[np.uint64]:
    """Return the first 64 bits of the digests of `before` and each of the digests `found`."""
    starts = np.arange(0, found.size, SIZE)
    of_both = digests(found.reshape(-1), starts, starts + SIZE, before=before)
    return of_both[:, :8].copy().view(">u8").astype(np.uint64).reshape(-1)
