"""Rows of the spill file by the block, for compiled loops: no object for a row that is ASCII.

What a row is stands in `engine.data.spill`; each method gives what Python's own way gives of the same rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import batched

import numpy as np
from numpy.typing import NDArray

from engine.data.examples.example import normalised
from engine.data.similarity.shingles import comparable
from engine.data.spill import Spill, SpilledRow, Texts, read_record
from engine.runtime.text import rows as compiled
from engine.runtime.text.sha256 import digests
from engine.values import Value

ORIGIN, INPUT, TARGET, MARK, PAYLOAD = range(5)
"""The fields of a row, in their order."""
FIELDS = 5
BATCH = 8_192
"""Texts of which a batch is made where they are in no spill file."""

_NO_PLACE = np.uint32(0xFFFFFFFF)
Codes = NDArray[np.uint32]
Offsets = NDArray[np.int64]
Rows = NDArray[np.uint32]


class Block(Value):
    """Some rows of the spill file, in its order."""

    rows: Rows
    data: NDArray[np.uint8]
    starts: Offsets
    """Where each row begins in `data`."""
    ends: Offsets
    fields: Offsets
    """Where each row begins, and where each field ends."""
    others: NDArray[np.bool_]
    """Rows that are not written as fields."""

    def record(self, at: int) -> SpilledRow:
        """Return a row as Python reads it."""
        return read_record(self.data[self.starts[at] : self.ends[at]].tobytes())

    def span(self, field: int) -> tuple[Offsets, Offsets]:
        """Return where a field begins and ends in each row."""
        begin = self.fields[:, field] + (field > 0)
        return begin, self.fields[:, field + 1]

    def ascii_inputs(self) -> tuple[Offsets, Offsets, Offsets]:
        """Return where the inputs begin and end, and the rows that have none of ASCII there."""
        begin, end = self.span(INPUT)
        others = np.flatnonzero(self.others | compiled.not_ascii(self.data, begin, end))
        return begin, end, others

    def holding(self, words: Sequence[str]) -> list[int]:
        """Return the rows whose inputs may hold one of the words, of small letters; it is so in all of ASCII."""
        begin, end, others = self.ascii_inputs()
        if any(len(word) < 2 for word in words):
            return list(range(len(self.rows)))
        found = [word.encode("ascii") for word in words if word.isascii()]
        holding = compiled.holding(self.data, begin, end, joined_bytes(found))
        holding[others] = True
        places: list[int] = np.flatnonzero(holding).tolist()
        return places

    def comparable(self) -> tuple[Codes, Offsets]:
        """Return the code points of the inputs as `comparable` gives them, and the offsets."""
        begin, end, others = self.ascii_inputs()
        texts = [comparable(self.record(at).input) for at in others.tolist()]
        codes, offsets = encoded(texts)
        out = np.empty(len(self.data) + len(codes), np.uint32)
        ends = compiled.normalised(self.data, begin, end, (others, codes, offsets), out)
        return out, ends

    def normalised(self) -> tuple[NDArray[np.uint8], Offsets]:
        """Return the normalised inputs, and the offsets."""
        begin, end, others = self.ascii_inputs()
        texts = [
            normalised(self.record(at).input).encode(errors="surrogatepass")
            for at in others.tolist()
        ]
        joined, offsets = joined_bytes(texts)
        out = np.empty(len(self.data) + len(joined), np.uint8)
        ends = compiled.normalised(self.data, begin, end, (others, joined, offsets), out)
        return out, ends

    def content_digests(self) -> NDArray[np.uint8]:
        """Return the content keys of the inputs (`engine.data.examples.example`), one a line."""
        texts, offsets = self.normalised()
        return digests(texts, offsets[:-1], offsets[1:])


def made_block(data: NDArray[np.uint8], starts: Offsets, ends: Offsets, rows: Rows) -> Block:
    """Return the block of rows that begin and end there in `data`."""
    fields, others = compiled.field_ends(data, starts, ends, FIELDS)
    return Block(rows=rows, data=data, starts=starts, ends=ends, fields=fields, others=others)


def block_of_lines(lines: Sequence[bytes]) -> Block:
    """Return the block of rows as `written_record` gives them."""
    return block_of(*joined_bytes(lines))


def block_of(data: NDArray[np.uint8], offsets: Offsets) -> Block:
    """Return the block of rows that stand one after the other, by where each begins and ends."""
    return made_block(data, offsets[:-1], offsets[1:], np.arange(len(offsets) - 1, dtype=np.uint32))


def joined_bytes(texts: Sequence[bytes]) -> tuple[NDArray[np.uint8], Offsets]:
    """Return texts one after the other, and the offsets."""
    return np.frombuffer(b"".join(texts), np.uint8), _offsets(texts)


def encoded(texts: Sequence[str]) -> tuple[Codes, Offsets]:
    """Return the code points of the texts, one text after the other, and the offsets."""
    # Four bytes for every character, so that the lengths of the strings are the offsets of the
    # numbers.
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(joined, np.uint32), _offsets(texts)


def _offsets(texts: Sequence[bytes] | Sequence[str]) -> Offsets:
    """Return where each text begins when they stand one after the other, and the end."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    return offsets


def blocks(spill: Spill, rows: array[int]) -> Iterator[Block]:
    """Yield rows in the order of the file."""
    ordered, starts, at = np.sort(np.array(rows, np.uint32)), np.asarray(spill.starts), 0
    while at < len(ordered):
        end = spill.block_end(int(ordered[at]))
        # Of the type of the rows: for another one, all that are left would be converted for each block.
        some = ordered[at : at + int(np.searchsorted(ordered[at:], np.uint32(end)))]
        before, behind = starts[some].astype(np.int64), starts[some + 1].astype(np.int64)
        data = np.frombuffer(spill.span(int(some[0]), int(some[-1]) + 1), np.uint8)
        yield made_block(data, before - before[0], behind - before[0], some)
        at += len(some)


def file_order(rows: array[int]) -> Rows:
    """Return the places of rows, each of which stands there once, in the order of the file."""
    # Rows are numbers from 0 on, so that no sort is needed, which takes ten times as long.
    place_of: Rows = np.full(int(np.max(rows, initial=0)) + 1, _NO_PLACE, np.uint32)
    place_of[np.asarray(rows)] = np.arange(len(rows), dtype=np.uint32)
    ordered: Rows = place_of[place_of != _NO_PLACE]
    return ordered


Numbered = tuple[NDArray[np.uint32], Codes, Offsets]
"""Numbers of texts, and the texts."""


def comparable_batches(texts: Texts | Iterable[tuple[int, str]]) -> Iterator[Numbered]:
    """Yield numbered texts as `comparable` gives them: those of a spill file in its order, others as they come."""
    if isinstance(texts, Texts):
        order, at = file_order(texts.rows), 0
        for block in blocks(texts.spill, texts.rows):
            yield order[at : at + len(block.rows)], *block.comparable()
            at += len(block.rows)
        return
    for some in batched(texts, BATCH, strict=False):
        numbers = np.fromiter((number for number, _ in some), np.uint32, len(some))
        yield numbers, *encoded([comparable(text) for _, text in some])
