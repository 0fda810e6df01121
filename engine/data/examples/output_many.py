"""Lines of many examples, and the digest of a split of many rows, by compiled loops: the bytes of `output`."""

from __future__ import annotations

import hashlib
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from engine.data.examples.example import normalised
from engine.data.spill import Spill, SpilledRow
from engine.data.spill_blocks import INPUT, PAYLOAD, TARGET, Block, blocks, joined_bytes
from engine.runtime.text import lines as compiled
from engine.runtime.text.rows import chosen
from engine.runtime.text.sha256 import digests

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

WRITTEN: Final = 300_000
"""Lines that are brought into their order at once; for more the spill file is read again."""
SORTED: Final = 250_000
"""About so many lines are sorted at once for a digest."""
SAMPLED: Final = 64
"""Lines of each such part that say where the parts begin."""


def lines_in_order(
    spill: Spill,
    rows: array[int],
    special: AbstractSet[int],
    line: Callable[[int, SpilledRow], bytes],
) -> Iterator[Bytes]:
    """Yield the lines of examples in the order of `rows`; those of rows in `special` are made by `line`."""
    for start in range(0, len(rows), WRITTEN):
        yield _lines_of(spill, rows[start : start + WRITTEN], special, line)


def _lines_of(
    spill: Spill,
    rows: array[int],
    special: AbstractSet[int],
    line: Callable[[int, SpilledRow], bytes],
) -> Bytes:
    # The list ends with the call, so that no more than two copies of the lines are held.
    data, offsets = _joined([_example_lines(block, special, line) for block in blocks(spill, rows)])
    places = np.empty(len(rows), np.int64)
    places[np.argsort(np.asarray(rows), kind="stable")] = np.arange(len(rows))
    return chosen(data, offsets, places)


def digest_of(spill: Spill, rows: array[int], scratch: Path | None = None) -> str:
    """Return the sha256 over the sorted normalised rows; see `engine.data.examples.output.split_digest`."""
    digest = hashlib.sha256()
    every = map(_split_lines, blocks(spill, rows))
    count = len(rows) // SORTED + 1
    if count == 1:
        digest.update(_in_order(*_joined(list(every))))
        return digest.hexdigest()
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=scratch)) for _ in range(count)]
        for lines in _parts(every, _bounds(spill, rows, count), files):
            digest.update(_in_order(*lines))
    return digest.hexdigest()


def _in_order(lines: Bytes, offsets: Offsets) -> Bytes:
    return chosen(lines, offsets, compiled.sorted_places(lines, offsets))


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
    every: Iterable[tuple[Bytes, Offsets]],
    bounds: tuple[Bytes, Offsets],
    files: Sequence[IO[bytes]],
) -> Iterator[tuple[Bytes, Offsets]]:
    """Yield the lines in parts, none of which has a line that is less than one of a part before."""
    lengths: list[list[Offsets]] = [[] for _ in files]
    for lines, offsets in every:
        part_of = compiled.parts_of(lines, offsets, bounds)
        for part, file in enumerate(files):
            places = np.flatnonzero(part_of == part)
            file.write(chosen(lines, offsets, places))
            lengths[part].append((offsets[places + 1] - offsets[places]).astype(np.uint32))
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
