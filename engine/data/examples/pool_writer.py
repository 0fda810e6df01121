"""Rows into the pool: the text to the spill file, and the numbers that memory holds of it.

Rows are written some at a time. Of many, the numbers are made by compiled loops over the block that is written, the
same as Python's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from engine.data import row_order
from engine.data.examples.example import content_key
from engine.data.kinds.base import Filled
from engine.data.preparation import Preparation
from engine.data.row_index import Traits, before_key, drawn
from engine.data.spill import SpilledRow, written_record

if TYPE_CHECKING:
    from engine.data.examples.column_rows import ColumnReader, PlainRows
    from engine.data.spill_blocks import Block

BATCH: Final = 4_096
"""Rows that wait to be written together."""


@dataclass(slots=True)
class WaitingRows:
    """Rows that are kept and not yet written."""

    records: list[SpilledRow] = field(default_factory=list)
    filled: list[Filled] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records)

    def add(self, filled: Filled, *, origin: str, source: int, mark: str) -> None:
        """Add a row; `mark` is its value in the column of the splits."""
        self.filled.append(filled)
        self.sources.append(source)
        self.records.append(
            SpilledRow(
                origin=origin,
                input=filled.input,
                target=filled.target,
                labels=filled.labels,
                payload=filled.payload,
                mark=mark,
            )
        )


class PoolWriter:
    """Writes rows into a pool."""

    def __init__(self, work: Preparation) -> None:
        """Begin with no row."""
        self._pool, self._seed, self._sample = work.pool, work.splits.seed, work.data.sample
        self._strata: dict[tuple[str, ...], int] = {}
        self._answers: dict[str, int] = {}

    @property
    def are_many(self) -> bool:
        """Tell whether there are so many rows that compiled loops pay for their start."""
        return len(self._pool) >= row_order.MANY

    def write(self, rows: WaitingRows) -> None:
        """Write rows and their numbers."""
        pool = self._pool
        pool.answer.extend(map(self.answer, rows.filled))
        pool.stratum.extend(self.stratum(one.labels) for one in rows.filled)
        pool.source.extend(rows.sources)
        pool.alive.extend(b"\1" * len(rows))
        if self.are_many and row_order.has_loops():
            self._write_many(rows)
            return
        for filled, record in zip(rows.filled, rows.records, strict=True):
            key = content_key(filled.input)
            pool.key.append(int.from_bytes(key[:8]))
            # Split and sample are drawn with different purposes: with one rank for both, a sample
            # would be filled from the holdout first.
            pool.rank.append(drawn("split", self._seed, key))
            if self._sample is not None:
                pool.sample.append(drawn("sample", self._sample.seed, key))
            pool.note_traits(filled)
            pool.spill.add(record)

    def write_block(self, block: Block) -> list[Traits]:
        """Write the rows of a block, their keys and ranks; return the traits that are still to be noted."""
        from engine.runtime.text import sha256  # NumPy and numba: an extra

        pool = self._pool
        pool.spill.add_lines(block.data, block.ends)
        keys = block.content_digests()
        pool.key.frombytes(keys[:, :8].copy().view(">u8").astype("Q").tobytes())
        pool.rank.frombytes(sha256.drawn(before_key("split", self._seed), keys).tobytes())
        if self._sample is not None:
            before = before_key("sample", self._sample.seed)
            pool.sample.frombytes(sha256.drawn(before, keys).tobytes())
        left = []
        for traits in pool.traits:
            words = traits.check.traits(block)
            if words is None:
                left.append(traits)
            else:
                traits.note(words)
        return left

    def write_columns(
        self, reader: ColumnReader, rows: PlainRows, places: Sequence[int], others: WaitingRows
    ) -> None:
        """Write the plain rows of a batch, and the others of it that are kept at their places."""
        import numpy as np  # an extra

        lines = map(written_record, others.records)
        block = reader.block(rows, list(zip(places, lines, strict=True)))
        numbers = rows.labels.copy()
        numbers[places] = range(len(reader.labels), len(reader.labels) + len(places))
        numbers = numbers[numbers >= 0]
        plain = [Filled(input="", target=one, labels=(one,)) for one in reader.labels]
        made = [*plain, *others.filled]
        pool = self._pool
        for values, each in (
            (pool.answer, map(self.answer, made)),
            (pool.stratum, (self.stratum(one.labels) for one in made)),
        ):
            known = np.fromiter(each, values.typecode, len(made))
            values.frombytes(known[numbers].tobytes())
        pool.source.extend([rows.batch.source] * len(numbers))
        pool.alive.extend(b"\1" * len(numbers))
        left = self.write_block(block)
        if left:
            raise AssertionError(left)  # see `TraitCheck.reads_blocks`

    def stratum(self, labels: tuple[str, ...]) -> int:
        """Return the number of a set of labels."""
        known = self._strata.get(labels)
        if known is None:
            known = self._strata[labels] = len(self._strata)
            self._pool.strata.append(labels)
        return known

    def answer(self, filled: Filled) -> int:
        """Return 64 bits of what shall be answered."""
        if not filled.labels or filled.payload:
            return _answer_hash(filled)
        known = self._answers.get(filled.target)
        if known is None:
            known = self._answers[filled.target] = _answer_hash(filled)
        return known

    def _write_many(self, rows: WaitingRows) -> None:
        from engine.data.spill_blocks import block_of_lines

        block = block_of_lines([written_record(one) for one in rows.records])
        for traits in self.write_block(block):
            traits.note(map(traits.check.trait, rows.filled))


def _answer_hash(filled: Filled) -> int:
    # 64 bits, as the pool keeps them; the payload too, since two answers may share their first
    # text.
    digest = hashlib.blake2b(filled.target.encode(errors="surrogatepass"), digest_size=8)
    if filled.payload:
        digest.update(json.dumps(filled.payload, sort_keys=True).encode("ascii"))
    return int.from_bytes(digest.digest())
