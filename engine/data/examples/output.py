"""Rows of the pool as examples, and the digest of a split. Both read the spill file row by row."""

from __future__ import annotations

import hashlib
import heapq
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Final

from engine.data.examples.candidates import CollectedRows
from engine.data.examples.example import (
    Example,
    content_id,
    normalised,
    write_examples,
)
from engine.data.preparation import Preparation
from engine.data.row_index import Pool, runs
from engine.data.spill import SpilledRow
from engine.data.splitting.splits import Division
from engine.evidence import Firewall, Recorded
from engine.recipe.model import SplitName

SORTED_IN_MEMORY: Final = 500_000
"""Lines that are sorted at once for a digest; more are sorted in files and merged."""


def occurrences(pool: Pool, places: bytearray) -> dict[int, int]:
    """Return, for each used row whose text and answer stand before it, how often they do.

    Counted among equal texts from the holdout down, so that ids differ across splits too.
    """
    found: dict[int, int] = {}
    for start, end in runs(pool.order, pool.rank, least=2):
        used = [row for row in pool.order[start:end] if places[row]]
        seen: Counter[tuple[str, str]] = Counter()
        # The holdout counts first: a copy that is added to training does not change the ids of the
        # holdout.
        for row in sorted(used, key=lambda one: -places[one]):
            content = pool.spill[row].input, pool.spill[row].target
            if seen[content]:
                found[row] = seen[content]
            seen[content] += 1
    return found


@dataclass(slots=True, kw_only=True)
class Outcome:
    """The divided rows, ready to be written, and what became of the others."""

    work: Preparation
    collected: CollectedRows
    division: Division
    repeats: Mapping[int, int]
    """How often a training row is seen, where that is not once."""
    again: Mapping[int, int]
    """See `occurrences`."""
    firewall: Firewall
    recorded: Recorded | None


class Examples:
    """The examples of a split in drawn order, read from the spill file each time they are iterated."""

    def __init__(self, outcome: Outcome, name: SplitName) -> None:
        """Show one split of what was prepared."""
        self._outcome = outcome
        self._rows = outcome.division.rows(outcome.work.pool, name)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Example]:
        """Yield the rows as examples; ids depend on the content and, among equals, on their number."""
        spill = self._outcome.work.pool.spill
        return (self._example(row, spill[row]) for row in self._rows)

    def _example(self, row: int, record: SpilledRow) -> Example:
        outcome = self._outcome
        folds = outcome.division.folds
        return Example(
            id=content_id(record.input, record.target, outcome.again.get(row, 0)),
            origin=record.origin,
            input=record.input,
            target=record.target,
            labels=record.labels,
            payload=record.payload,
            group=record.mark if outcome.work.splits.by == "group" else "",
            repeat=outcome.repeats.get(row, 1),
            fold=folds[row] if folds else 0,
        )

    def write(self, path: Path) -> None:
        write_examples(path, self)

    def digest(self) -> str:
        """Return the sha256 of their texts and answers; see `split_digest`."""
        work = self._outcome.work
        return split_digest((work.pool.spill[row] for row in self._rows), work.scratch)

    @property
    def rows(self) -> Sequence[int]:
        """Their rows in the pool."""
        return self._rows


def split_digest(rows: Iterable[SpilledRow | Example], scratch: Path | None = None) -> str:
    """Return the sha256 over the sorted normalised rows; their order does not matter."""
    lines = (f"{normalised(one.input)}\t{one.target}\n" for one in rows)
    digest = hashlib.sha256()
    with ExitStack() as stack:
        parts: list[Iterable[str]] = []
        for batch in batched(lines, SORTED_IN_MEMORY, strict=False):
            ordered = sorted(batch)
            is_last = len(ordered) < SORTED_IN_MEMORY
            parts.append(ordered if is_last else _on_disk(ordered, stack, scratch))
        # A merge of sorted parts: the digest is that of all lines sorted at once, in bounded
        # memory.
        for line in heapq.merge(*parts):
            digest.update(line.encode(errors="surrogatepass"))
    return digest.hexdigest()


def _on_disk(lines: Iterable[str], stack: ExitStack, scratch: Path | None) -> Iterator[str]:
    """Write lines into a file without a name; return what reads them back."""
    file = stack.enter_context(
        tempfile.TemporaryFile("w+", encoding="ascii", dir=scratch)  # noqa: SIM115
    )
    file.writelines(f"{json.dumps(line)}\n" for line in lines)  # a line may hold line breaks
    file.seek(0)
    return map(json.loads, file)
