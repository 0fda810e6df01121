"""Lines of many examples, and the digest of a split of many rows, by compiled loops: the bytes of `output`."""

from __future__ import annotations

import hashlib
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.data.arrow_arrays import as_indices
from engine.data.examples.example import normalised
from engine.data.spill import Spill, SpilledRow
from engine.data.spill_blocks import INPUT, PAYLOAD, TARGET, Block, blocks, file_order, joined_bytes
from engine.runtime.text import lines as compiled
from engine.runtime.text.sha256 import digests

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

WRITTEN: Final = 300_000
"""Lines that are brought into their order at once; more go to temporary files first."""
SORTED: Final = 250_000
"""About so many lines are sorted at once for a digest."""
SAMPLED: Final = 64
"""Lines of each such part that say where the parts begin."""


def lines_in_order(
    spill: Spill,
    rows: array[int],
    special: AbstractSet[int],
    line: Callable[[int, SpilledRow], bytes],
    scratch: Path | None = None,
) -> Iterator[Bytes]:
    """Yield the lines of examples in the order of `rows`; those of rows in `special` are made by `line`."""
    every = ((block, _example_lines(block, special, line)) for block in blocks(spill, rows))
    chunks = [rows[start : start + WRITTEN] for start in range(0, len(rows), WRITTEN)]
    if len(chunks) == 1:
        yield _ordered(rows, *_joined([lines for _, lines in every]))
        return
    # The spill file is read once: each line goes to the file of the chunk that it belongs to.
    chunk_of = np.zeros(len(spill), np.uint32)
    chunk_of[np.asarray(rows)] = np.arange(len(rows), dtype=np.uint32) // WRITTEN
    in_chunks = ((*lines, chunk_of[block.rows]) for block, lines in every)
    with _files(len(chunks), scratch) as files:
        for chunk, lines in zip(chunks, _parts(in_chunks, files), strict=True):
            yield _ordered(chunk, *lines)


def _ordered(rows: array[int], data: Bytes, offsets: Offsets) -> Bytes:
    """Return lines that come in the order of the file in that of the rows."""
    places = np.empty(len(rows), np.int64)
    places[file_order(rows)] = np.arange(len(rows))
    return chosen(data, offsets, places)[0]


def chosen(data: Bytes, offsets: Offsets, places: Offsets) -> tuple[Bytes, Offsets]:
    """Return the texts at these places one after the other, and the offsets."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    texts: Any = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    # Copies of whole texts: a compiled loop over their bytes takes four to ten times as long.
    _, ends, joined = texts.take(as_indices(places)).buffers()
    found = np.frombuffer(ends, np.int64)[: len(places) + 1]
    return np.frombuffer(joined, np.uint8)[: found[-1]], found


@contextmanager
def _files(count: int, scratch: Path | None) -> Iterator[list[IO[bytes]]]:
    with ExitStack() as stack:
        yield [stack.enter_context(tempfile.TemporaryFile(dir=scratch)) for _ in range(count)]


def digest_of(spill: Spill, rows: array[int], scratch: Path | None = None) -> str:
    """Return the sha256 over the sorted normalised rows; see `engine.data.examples.output.split_digest`."""
    digest = hashlib.sha256()
    every = map(_split_lines, blocks(spill, rows))
    count = len(rows) // SORTED + 1
    if count == 1:
        digest.update(_in_order(*_joined(list(every))))
        return digest.hexdigest()
    bounds = _bounds(spill, rows, count)
    in_parts = ((*lines, compiled.parts_of(*lines, bounds)) for lines in every)
    with _files(count, scratch) as files:
        for lines in _parts(in_parts, files):
            digest.update(_in_order(*lines))
    return digest.hexdigest()


def _in_order(lines: Bytes, offsets: Offsets) -> Bytes:
    return chosen(lines, offsets, compiled.sorted_places(lines, offsets))[0]


def _example_lines(
    block: Block, special: AbstractSet[int], line: Callable[[int, SpilledRow], bytes]
) -> tuple[Bytes, Offsets]:
    begin, end = block.span(PAYLOAD)
    others = block.others | (end > begin)
    others |= compiled.unwritable(block.data, block.starts, block.ends)
    if special:
        others |= np.array([row in special for row in block.rows.tolist()], np.bool_)
    places = np.flatnonzero(others)
    given = joined_bytes([line(int(block.rows[at]), block.record(at)) for at in places.tolist()])
    # The text, a zero byte, the target, a zero byte and the number among equals: 0.
    (start, _), (_, end) = block.span(INPUT), block.span(TARGET)
    found = digests(block.data, start, end, behind=b"\x000")
    return compiled.example_lines(
        block.data, block.fields, block.ends, (places, *given), (found, compiled.PIECES)
    )


def _split_lines(block: Block) -> tuple[Bytes, Offsets]:
    others = np.flatnonzero(block.others)
    records = [block.record(at) for at in others.tolist()]
    given = joined_bytes(
        [
            f"{normalised(one.input)}\t{one.target}\n".encode(errors="surrogatepass")
            for one in records
        ]
    )
    return compiled.split_lines(block.normalised(), block.data, block.fields, (others, *given))


def _parts(
    every: Iterable[tuple[Bytes, Offsets, NDArray[Any]]], files: Sequence[IO[bytes]]
) -> Iterator[tuple[Bytes, Offsets]]:
    """Yield the lines of each part, in the order in which they come; they come with the numbers of their parts."""
    lengths: list[list[NDArray[np.uint32]]] = [[] for _ in files]
    for lines, offsets, part_of in every:
        # Numbers of 16 bits are sorted digit by digit.
        order = np.argsort(part_of.astype(np.uint16), kind="stable")
        ordered, ends = chosen(lines, offsets, order)
        sizes = np.diff(ends).astype(np.uint32)
        cuts = np.concatenate([[0], np.cumsum(np.bincount(part_of, minlength=len(files)))])
        for part, (start, end) in enumerate(pairwise(cuts.tolist())):
            files[part].write(ordered[ends[start] : ends[end]])
            lengths[part].append(sizes[start:end])
    for file, some in zip(files, lengths, strict=True):
        file.seek(0)
        yield np.frombuffer(file.read(), np.uint8), np.cumsum(np.concatenate([[0], *some]))
        file.truncate(0)


def _bounds(spill: Spill, rows: array[int], parts: int) -> tuple[Bytes, Offsets]:
    """Return the least lines of all parts but the first, by a sample of rows."""
    sample = rows[:: max(1, len(rows) // (parts * SAMPLED))]
    data, offsets = _joined(list(map(_split_lines, blocks(spill, sample))))
    places = compiled.sorted_places(data, offsets)
    chosen_ = [places[len(places) * part // parts] for part in range(1, parts)]
    return joined_bytes([data[offsets[at] : offsets[at + 1]].tobytes() for at in chosen_])


def _joined(some: Sequence[tuple[Bytes, Offsets]]) -> tuple[Bytes, Offsets]:
    """Return lines one after the other."""
    ends, before = [np.zeros(1, np.int64)], 0
    for _, offsets in some:
        ends.append(offsets[1:] + before)
        before += int(offsets[-1])
    data = np.concatenate([lines for lines, _ in some]) if some else np.empty(0, np.uint8)
    return data, np.concatenate(ends)
