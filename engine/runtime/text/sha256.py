"""SHA-256 of many short texts as a compiled loop: the digests of `hashlib`, without an object for each (FIPS 180-4)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.runtime.text.compiled import compiled

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]

SIZE: Final = 32
"""Bytes of a digest."""
BLOCK: Final = 64


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
def _add_block(block: Bytes, state: Words, schedule: Words) -> None:
    """Take 64 bytes into the state; `schedule` has room for 64 words."""
    for at in range(16):
        schedule[at] = np.uint32(
            (np.uint32(block[4 * at]) << np.uint32(24))
            | (np.uint32(block[4 * at + 1]) << np.uint32(16))
            | (np.uint32(block[4 * at + 2]) << np.uint32(8))
            | np.uint32(block[4 * at + 3])
        )
    for at in range(16, 64):
        low, high = schedule[at - 15], schedule[at - 2]
        one = _turned(low, 7) ^ _turned(low, 18) ^ np.uint32(low >> np.uint32(3))
        two = _turned(high, 17) ^ _turned(high, 19) ^ np.uint32(high >> np.uint32(10))
        schedule[at] = np.uint32(schedule[at - 16] + one + schedule[at - 7] + two)
    a, b, c, d = state[0], state[1], state[2], state[3]
    e, f, g, h = state[4], state[5], state[6], state[7]
    for at in range(64):
        one = _turned(e, 6) ^ _turned(e, 11) ^ _turned(e, 25)
        choice = (e & f) ^ (np.uint32(~e) & g)
        first = np.uint32(h + one + choice + ROUNDS[at] + schedule[at])
        two = _turned(a, 2) ^ _turned(a, 13) ^ _turned(a, 22)
        majority = (a & b) ^ (a & c) ^ (b & c)
        h, g, f, e = g, f, e, np.uint32(d + first)
        d, c, b, a = c, b, a, np.uint32(first + np.uint32(two + majority))
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e
    state[5] += f
    state[6] += g
    state[7] += h


@compiled
def write_digest(text: Bytes, length: int, room: tuple[Words, Words], out: Bytes) -> None:
    """Write the digest of the first `length` bytes of `text` into `out`.

    `text` has room for 72 bytes more, which are written. `room` has that of a state and of a schedule.
    """
    state, schedule = room
    state[:] = INITIAL
    text[length] = 0x80
    end = (length + 9 + BLOCK - 1) // BLOCK * BLOCK
    text[length + 1 : end] = 0
    bits = 8 * length
    for at in range(8):
        text[end - 1 - at] = (bits >> (8 * at)) & 255
    for start in range(0, end, BLOCK):
        _add_block(text[start : start + BLOCK], state, schedule)
    for at in range(8):
        for byte in range(4):
            out[4 * at + byte] = (state[at] >> np.uint32(24 - 8 * byte)) & np.uint32(255)


@compiled
def digests(data: Bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the digests of texts, one a line."""
    out = np.empty((len(starts), SIZE), np.uint8)
    most = (ends - starts).max() if len(starts) else 0
    text = np.empty(most + BLOCK + 9, np.uint8)
    room = np.empty(8, np.uint32), np.empty(64, np.uint32)
    for row in range(len(starts)):
        length = ends[row] - starts[row]
        text[:length] = data[starts[row] : ends[row]]
        write_digest(text, length, room, out[row])
    return out


def drawn(before: bytes, found: Bytes) -> NDArray[np.uint64]:
    """Return the first 64 bits of the digests of `before` and each of the digests `found`."""
    return _drawn(np.frombuffer(before, np.uint8), found)


@compiled
def _drawn(before: Bytes, found: Bytes) -> NDArray[np.uint64]:
    out = np.empty(len(found), np.uint64)
    start = len(before)
    text = np.empty(start + SIZE + BLOCK + 9, np.uint8)
    text[:start] = before
    room = np.empty(8, np.uint32), np.empty(64, np.uint32)
    digest = np.empty(SIZE, np.uint8)
    for row in range(len(found)):
        text[start : start + SIZE] = found[row]
        write_digest(text, start + SIZE, room, digest)
        value = np.uint64(0)
        for at in range(8):
            value = (value << np.uint64(8)) | np.uint64(digest[at])
        out[row] = value
    return out
