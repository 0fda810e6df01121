"""Compiled loops of the leak check: texts of a stream against an index of the holdout.

Shingles are 64-bit hashes, as in `engine.runtime.text.near`; of a text the distinct ones, sorted, are
its set. The rank of a shingle is its place among those of the holdout, the rarest first.

What numba keeps on disk is compiled again when this file changes, not when `near.py` does, whose
functions are compiled into it: after a change there, this file wants a touch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.runtime.text.compiled import compiled
from engine.runtime.text.near import (
    SHINGLE,
    Codes,
    Hashes,
    Offsets,
    jaccard,
    room,
    shingle_hash,
    shingle_hashes,
    shingle_sets,
    unique,
)
from engine.values import dataclass

BITS_A_SHINGLE = 32
"""Of the bitmap: about one shingle in 32 that is not in the holdout is taken for one that is."""
_BIT = np.uint64(0x3F)
_WORD = np.uint64(6)
_ONE = np.uint64(1)

Ranks = NDArray[np.int64]
Lookup = tuple[Ranks, Hashes, Ranks]
"""Of an index: table, distinct, ranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The shingles of the holdout."""

    sets: Hashes
    ends: Offsets
    """Where the set of a row ends, after a first 0."""
    bitmap: Hashes
    """Has the bit of each shingle; its number of words is a power of two."""
    table: Ranks
    """Open addressing: the place of a shingle in `distinct`, or -1."""
    distinct: Hashes
    ranks: Ranks
    """The rank of each of `distinct`."""
    rows: Ranks
    """The rows that have a shingle among their rarest, by its rank."""
    row_ends: Offsets
    """Where the rows of a rank end, after a first 0."""


def index(codes: Codes, offsets: Offsets, at_least: float) -> Index:
    """Return the index of texts for matches of similarity `at_least`."""
    sets, ends = shingle_sets(codes, offsets)
    distinct, places, counts = np.unique(sets, return_inverse=True, return_counts=True)
    ranks = np.empty(len(distinct), np.int64)
    # Equal counts are ordered by the hash, so that every run has the same ranks.
    ranks[np.lexsort((distinct, counts))] = np.arange(len(distinct))
    of_rank, of_row = _rarest(ranks[places], ends, at_least)
    row_ends = np.zeros(len(distinct) + 1, np.int64)
    np.cumsum(np.bincount(of_rank, minlength=len(distinct)), out=row_ends[1:])
    return Index(
        sets=sets,
        ends=ends,
        bitmap=_bitmap(distinct),
        table=_table(distinct),
        distinct=distinct,
        ranks=ranks,
        rows=of_row[np.argsort(of_rank, kind="stable")],
        row_ends=row_ends,
    )


def matches(
    codes: Codes, offsets: Offsets, holdout: Index, at_least: float
) -> tuple[list[int], list[int], list[float]]:
    """Return the similar pairs: text of the batch, row of the holdout, Jaccard similarity.

    In the order of the texts; every pair is found.
    """
    found = maybe_similar(codes, offsets, holdout.bitmap, at_least)
    return _matches(
        codes,
        offsets,
        found,
        (
            (holdout.table, holdout.distinct, holdout.ranks),
            (holdout.rows, holdout.row_ends),
            (holdout.sets, holdout.ends),
        ),
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
def _table(distinct: Hashes) -> Ranks:
    size = 1024
    while size < 2 * len(distinct):
        size *= 2
    table = np.full(size, -1, np.int64)
    mask = np.uint64(size - 1)
    for number in range(len(distinct)):
        place = distinct[number] & mask
        while table[place] >= 0:
            place = (place + _ONE) & mask
        table[place] = number
    return table


@compiled
def _place(table: Ranks, distinct: Hashes, value: np.uint64) -> int:
    """Return the place of a hash in `distinct`, or -1."""
    mask = np.uint64(len(table) - 1)
    place = value & mask
    while table[place] >= 0 and distinct[table[place]] != value:
        place = (place + _ONE) & mask
    return int(table[place])


@compiled
def _few_missing(codes: Codes, start: int, bitmap: Hashes, missed: Hashes, allowed: int) -> bool:
    """Say whether at most `allowed` distinct shingles are missing; `missed` has room for all."""
    mask = np.uint64(len(bitmap) * 64 - 1)
    misses = 0
    for at in range(start, start + len(missed)):
        value = shingle_hash(codes, at)
        place = value & mask
        if (bitmap[place >> _WORD] >> (place & _BIT)) & _ONE:
            continue
        known = False
        for earlier in range(misses):
            known = known or missed[earlier] == value
        if not known:
            if misses == allowed:
                return False
            missed[misses] = value
            misses += 1
    return True


@compiled
def maybe_similar(
    codes: Codes, offsets: Offsets, bitmap: Hashes, at_least: float
) -> NDArray[np.bool_]:
    """Say of each text whether enough of its shingles are in the bitmap to match anything there.

    A text that is similar to a row has at least the share `at_least` of its distinct shingles in
    that row, so in the union of all rows, which the bitmap holds (with some more).
    """
    texts = len(offsets) - 1
    out = np.ones(texts, np.bool_)
    missed = np.empty(room(offsets), np.uint64)
    for row in range(texts):
        start, count = offsets[row], offsets[row + 1] - offsets[row] - SHINGLE + 1
        # A text of one shingle is looked up at once.
        if count > 1:
            allowed = int(count * (1 - at_least) + 1e-9)
            out[row] = _few_missing(codes, start, bitmap, missed[:count], allowed)
    return out


@compiled
def _own_rarest(own: Hashes, ranks: Ranks, lookup: Lookup, at_least: float) -> int:
    """Write the ranks of the rarest shingles of a set into `ranks`, sorted; return how many.

    Shingles that the holdout lacks are the rarest of all: they fill the prefix first.
    """
    table, distinct, rank_of = lookup
    present = 0
    for value in own:
        place = _place(table, distinct, value)
        if place >= 0:
            ranks[present] = rank_of[place]
            present += 1
    ranks[:present].sort()
    missing = len(own) - present
    return max(0, min(present, prefix_length(len(own), at_least) - missing))


@compiled
def _matches(
    codes: Codes,
    offsets: Offsets,
    worth: NDArray[np.bool_],
    holdout: tuple[Lookup, tuple[Ranks, Offsets], tuple[Hashes, Offsets]],
    at_least: float,
) -> tuple[list[int], list[int], list[float]]:
    """Return texts, rows and similarities of the pairs, in the order of the texts."""
    lookup, (rows, row_ends), (sets, ends) = holdout
    # numba reads the type of an empty list off the element that it was made with.
    texts, found, same = [0][:0], [0][:0], [0.0][:0]
    hashes = np.empty(room(offsets), np.uint64)
    ranks = np.empty(len(hashes), np.int64)
    compared = np.full(len(ends), -1, np.int64)
    for text in np.flatnonzero(worth):
        count = unique(hashes, shingle_hashes(codes, offsets[text], offsets[text + 1], hashes))
        for rank in ranks[: _own_rarest(hashes[:count], ranks, lookup, at_least)]:
            for row in rows[row_ends[rank] : row_ends[rank + 1]]:
                # A row that shares several rare shingles with the text is compared once.
                if compared[row] == text:
                    continue
                compared[row] = text
                similarity = jaccard(hashes[:count], sets[ends[row] : ends[row + 1]], at_least)
                if similarity >= at_least:
                    texts.append(int(text))
                    found.append(int(row))
                    same.append(similarity)
    return texts, found, same
