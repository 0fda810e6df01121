"""Compiled loops of the leak check: texts of a stream against an index of the holdout.

Shingles are 64-bit hashes, as in `engine.runtime.text.near`; of a text the distinct ones, sorted, are
its set. A similar text holds one of the rarest shingles of a row (prefix filtering, see
`engine.data.similarity.leakage`); of the rows that share one with a text, signatures rule out nearly all.

What numba keeps on disk is compiled again when this file changes, not when `near.py` does, whose
functions are compiled into it: after a change there, this file wants a touch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.runtime.text.compiled import compiled
from engine.runtime.text.near import (
    Codes,
    Hashes,
    Offsets,
    jaccard,
    room,
    shingle_hashes,
    shingle_sets,
    unique,
)
from engine.values import Value

BITS_A_SHINGLE = 32
"""Of the bitmap: about one shingle in 32 that is not in it is taken for one that is."""
WORDS = 8
"""Of a signature: a bit of 512 for each shingle of a text, by its hash."""
_BIT = np.uint64(0x3F)
_WORD = np.uint64(6)
_ONE = np.uint64(1)
_HALF = np.uint64(32)
_LOWER = np.uint64(0xFFFFFFFF)
_TOP = np.uint64(55)
"""The upper nine bits of a hash name its bit in a signature; the lower ones are those of the tables."""

Ranks = NDArray[np.int64]
Signatures = NDArray[np.uint64]


class Index(Value):
    """The rows of the holdout."""

    known: Hashes
    """As `bitmap`, of all shingles of the rows."""
    bitmap: Hashes
    """Has the bit of each rare shingle; its number of words is a power of two."""
    table: Hashes
    """Open addressing: a rare shingle, and from where (upper half) to where its rows stand in `rows`; 0 for none."""
    rows: Ranks
    """The rows that have a shingle among their rarest, those of each shingle together."""
    sets: Hashes
    ends: Offsets
    """Where the set of a row ends, after a first 0."""
    signatures: Signatures
    """`WORDS` of each row."""


def index(codes: Codes, offsets: Offsets, at_least: float) -> Index:
    """Return the index of texts for matches of similarity `at_least`."""
    sets, ends = shingle_sets(codes, offsets)
    distinct, places, counts = np.unique(sets, return_inverse=True, return_counts=True)
    ranks = np.empty(len(distinct), np.int64)
    # Equal counts are ordered by the hash, so that every run has the same ranks.
    by_rank = np.lexsort((distinct, counts))
    ranks[by_rank] = np.arange(len(distinct))
    of_rank, of_row = _rarest(ranks[places], ends, at_least)
    own, place = np.unique(of_rank, return_inverse=True)
    row_ends = np.zeros(len(own) + 1, np.int64)
    np.cumsum(np.bincount(place, minlength=len(own)), out=row_ends[1:])
    rare = distinct[by_rank[own]]
    return Index(
        known=_bitmap(distinct),
        bitmap=_bitmap(rare),
        table=_table(rare, row_ends),
        rows=of_row[np.argsort(place, kind="stable")],
        sets=sets,
        ends=ends,
        signatures=_signatures(sets, ends),
    )


def matches(
    codes: Codes, offsets: Offsets, holdout: Index, at_least: float
) -> tuple[list[int], list[int], list[float]]:
    """Return the similar pairs: text of the batch, row of the holdout, Jaccard similarity.

    In the order of the texts; every pair is found.
    """
    return _matches(
        codes,
        offsets,
        holdout.known,
        (holdout.bitmap, holdout.table, holdout.rows),
        (holdout.sets, holdout.ends, holdout.signatures),
        at_least,
    )


@compiled
def prefix_length(size: int, at_least: float) -> int:
    """Return how many shingles a similar set cannot miss all of (`engine.data.similarity.shingles`)."""
    # 1 - 0.8 is a little less than 0.2 in binary, and 5 times that would be cut to 0.
    return int(size * (1 - at_least) + 1e-9) + 1


@compiled
def _rarest(ranks: Ranks, ends: Offsets, at_least: float) -> tuple[Ranks, Ranks]:
    """Return the lowest ranks of each row, as many as `prefix_length` says, and their rows."""
    of_rank = np.empty(len(ranks), np.int64)
    of_row = np.empty(len(ranks), np.int64)
    at = 0
    for row in range(len(ends) - 1):
        own = np.sort(ranks[ends[row] : ends[row + 1]])
        for rank in own[: prefix_length(len(own), at_least)]:
            of_rank[at], of_row[at] = rank, row
            at += 1
    return of_rank[:at].copy(), of_row[:at].copy()


@compiled
def _bitmap(hashes: Hashes) -> Hashes:
    # A power of two, so that a mask stands for a division.
    bits = 1 << 16
    while bits < BITS_A_SHINGLE * len(hashes):
        bits *= 2
    bitmap = np.zeros(bits // 64, np.uint64)
    mask = np.uint64(bits - 1)
    for value in hashes:
        place = value & mask
        bitmap[place >> _WORD] |= _ONE << (place & _BIT)
    return bitmap


@compiled
def _table(rare: Hashes, row_ends: Offsets) -> Hashes:
    size = 1024
    while size < 2 * len(rare):
        size *= 2
    table = np.zeros((size, 2), np.uint64)
    mask = np.uint64(size - 1)
    for number in range(len(rare)):
        place = rare[number] & mask
        while table[place, 1]:
            place = (place + _ONE) & mask
        span = np.uint64(row_ends[number]) << _HALF | np.uint64(row_ends[number + 1])
        table[place, 0], table[place, 1] = rare[number], span
    return table


@compiled
def _span(table: Hashes, value: np.uint64) -> np.uint64:
    """Return from where to where the rows of a shingle stand; 0 where it is not in the table."""
    mask = np.uint64(len(table) - 1)
    place = value & mask
    while table[place, 1] and table[place, 0] != value:
        place = (place + _ONE) & mask
    return np.uint64(table[place, 1])


@compiled
def _sign(hashes: Hashes, out: Hashes) -> None:
    """Write the signature of some shingles into `out`."""
    out[:] = np.uint64(0)
    for value in hashes:
        bit = value >> _TOP
        out[bit >> _WORD] |= _ONE << (bit & _BIT)


@compiled
def _unknown(hashes: Hashes, bitmap: Hashes, out: Hashes) -> np.uint64:
    """Return how many different shingles, at least, are not in the bitmap; their signature is written into `out`."""
    out[:] = np.uint64(0)
    mask = np.uint64(len(bitmap) * 64 - 1)
    for value in hashes:
        place, bit = value & mask, value >> _TOP
        is_unknown = ~(bitmap[place >> _WORD] >> (place & _BIT)) & _ONE
        out[bit >> _WORD] |= is_unknown << (bit & _BIT)
    count = np.uint64(0)
    for word in range(WORDS):
        count += _bits(out[word])
    return count


@compiled
def _signatures(sets: Hashes, ends: Offsets) -> Signatures:
    signatures = np.empty((len(ends) - 1, WORDS), np.uint64)
    for row in range(len(ends) - 1):
        _sign(sets[ends[row] : ends[row + 1]], signatures[row])
    return signatures


@compiled
def _bits(value: np.uint64) -> np.uint64:
    """Return how many bits are 1 (Warren, Hacker's Delight, 5-1)."""
    value -= (value >> np.uint64(1)) & np.uint64(0x5555555555555555)
    value = (value & np.uint64(0x3333333333333333)) + (
        (value >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (value * np.uint64(0x0101010101010101)) >> np.uint64(56)


@compiled
def _unlike(one: Hashes, other: Hashes) -> np.uint64:
    """Return in how many bits two signatures differ: in so many shingles, at least, differ their sets."""
    count = np.uint64(0)
    for word in range(WORDS):
        count += _bits(one[word] ^ other[word])
    return count


@compiled
def _sharing(
    hashes: Hashes,
    lookup: tuple[Hashes, Hashes, Ranks],
    seen: tuple[Ranks, int, Hashes],
    out: Ranks,
) -> int:
    """Write each row that has one of these shingles among its rarest into `out`; return how many.

    `seen` is by row the text that it was last found for, this text, and room for its shingles.
    """
    bitmap, table, rows = lookup
    last, text, rare = seen
    mask = np.uint64(len(bitmap) * 64 - 1)
    count = found = 0
    # No branch in it: a processor would guess wrongly which of them are rare.
    for value in hashes:
        place = value & mask
        rare[found] = value
        found += (bitmap[place >> _WORD] >> (place & _BIT)) & _ONE
    for value in rare[:found]:
        span = _span(table, value)
        for at in range(span >> _HALF, span & _LOWER):
            row = rows[at]
            if last[row] != text:
                last[row] = text
                out[count] = row
                count += 1
    return count


@compiled
def _matches(
    codes: Codes,
    offsets: Offsets,
    known: Hashes,
    lookup: tuple[Hashes, Hashes, Ranks],
    holdout: tuple[Hashes, Offsets, Signatures],
    at_least: float,
) -> tuple[list[int], list[int], list[float]]:
    """Return texts, rows and similarities of the pairs, in the order of the texts."""
    sets, ends, signatures = holdout
    # numba reads the type of an empty list off the element that it was made with.
    texts, found, same = [0][:0], [0][:0], [0.0][:0]
    hashes, signature = np.empty(room(offsets), np.uint64), np.empty(WORDS, np.uint64)
    rare = np.empty(len(hashes) + 1, np.uint64)
    sharing, last = np.empty(len(ends), np.int64), np.full(len(ends), -1, np.int64)
    # Sets of such a similarity differ in no larger share of their sizes; a little room for rounding.
    differing = (1 - at_least) / (1 + at_least)
    for text in range(len(offsets) - 1):
        count = shingle_hashes(codes, offsets[text], offsets[text + 1], hashes)
        # A similar row has all but so many of them.
        if _unknown(hashes[:count], known, signature) > count * (1 - at_least) + 1e-6:
            continue
        _sign(hashes[:count], signature)
        some = _sharing(hashes[:count], lookup, (last, text, rare), sharing)
        distinct = 0
        for row in sharing[:some]:
            size = ends[row + 1] - ends[row]
            if _unlike(signature, signatures[row]) > (count + size) * differing + 1e-6:
                continue
            # Sorted for the first of them only: most texts have none.
            distinct = distinct or unique(hashes, count)
            similarity = jaccard(hashes[:distinct], sets[ends[row] : ends[row + 1]], at_least)
            if similarity >= at_least:
                texts.append(int(text))
                found.append(int(row))
                same.append(similarity)
    return texts, found, same
