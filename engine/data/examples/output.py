"""Rows of the pool as examples, and the digest of a split. Both read the texts row by row."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Final

from engine.data.checks.all_rows import count_labels
from engine.data.checks.findings import Findings, Preparation
from engine.data.examples.candidates import RowCollector
from engine.data.examples.example import Example, content_id, normalised, write_examples
from engine.data.reading.sources import source_names
from engine.data.row_index import BATCH, SPAN, Assignment, Pool, TextColumn, Texts, drawn
from engine.data.splitting.splits import Division
from engine.evidence import DataSummary, Firewall, Recorded, SourceSummary, SplitSummary
from engine.recipe.methods import asked_sizes
from engine.recipe.model import Source, SplitName


def summarise(outcome: Outcome, examples: Mapping[SplitName, Examples]) -> DataSummary:
    work, firewall = outcome.work, outcome.firewall
    splits = tuple(_split(name, split, outcome) for name, split in examples.items())
    sources, collected = work.data.sources, outcome.collected
    used = Counter(work.pool.source[row] for split in examples.values() for row in split.rows)

    def split_of(row: int) -> str:
        place = Assignment(outcome.division.places[row])
        return "" if place is Assignment.NONE else place.split

    return DataSummary(
        rows_read=outcome.collected.read_by_source.total(),
        rows_used=sum(split.rows for split in splits),
        dropped=dict(sorted(work.findings.dropped.items())),
        splits=splits,
        # The summary lies beside the training rows, where no text of the holdout may stand.
        findings=work.findings.found(hidden=set(examples["holdout"].rows), split_of=split_of),
        overlap_exact=firewall.left_exact,
        overlap_near=firewall.left_near,
        sources=tuple(
            SourceSummary(
                name=name,
                shape=collected.formats.get(number, "columns"),
                rows_read=collected.read_by_source[number],
                rows_used=used[number],
                weight=source.weight,
                into=source.into,
            )
            for number, (source, name) in enumerate(
                zip(sources, source_names(sources), strict=True)
            )
        ),
        firewall=firewall,
        recorded=outcome.recorded,
        folds=work.splits.folds,
    )


def _split(name: SplitName, examples: Examples, outcome: Outcome) -> SplitSummary:
    work, pool = outcome.work, outcome.work.pool
    counts = count_labels(pool, examples.rows)
    asked, division = asked_sizes(work.splits)[name], outcome.division
    repeats = outcome.repeats if name == "train" else {}
    group_of = Counter(pool.unit[row] for row in examples.rows) if pool.unit else Counter[int]()
    span = None
    if pool.time and not pool.is_by_place and len(examples):
        ends = (end(examples.rows, key=pool.time.__getitem__) for end in (min, max))
        first, last = (pool.mark[row] for row in ends)
        span = first, last
    left_out = Counter(check for place, check in division.dropped.values() if place.split == name)
    return SplitSummary(
        name=name,
        rows=len(examples),
        labels={label: counts.get(label, 0) for label in work.task.labels},
        digest=examples.digest(),
        seen=sum(repeats.get(row, 1) for row in examples.rows) if repeats else len(examples),
        groups=len(group_of) if pool.unit else None,
        group_sizes=tuple(sorted(Counter(group_of.values()).items())),
        span=span,
        asked=asked if isinstance(asked, int) else None,
        left_out=dict(sorted(left_out.items())),
        replaced=division.replaced if name == "train" else 0,
    )


def weigh(
    pool: Pool, division: Division, sources: Sequence[Source], *, seed: int, findings: Findings
) -> dict[int, int]:
    """Return how often each training row is seen, where that is not once; thin what weighs less.

    The whole part of a weight repeats every row; the rest repeats (below 1: keeps) that share of
    them, drawn by content. Validation and holdout rows are always seen once.
    """
    weights = [source.weight for source in sources]
    if all(weight == 1 for weight in weights):
        return {}
    repeats: dict[int, int] = {}
    thinned = 0
    for row in division.rows(pool, "train"):
        # Drawn by content: the same rows are kept, in whatever order they were read.
        whole, share = divmod(weights[pool.source[row]], 1)
        times = int(whole) + (drawn("weight", seed, pool.key[row].to_bytes(8)) < share * SPAN)
        if times == 0:
            division.places[row] = Assignment.NONE
            thinned += 1
        elif times != 1:
            repeats[row] = times
    findings.drop("thinned by the weight of its source", thinned)
    return repeats


SORTED_IN_MEMORY: Final = 100_000_000
"""Characters of lines that are sorted at once for a digest; more are sorted in files and merged."""


def occurrences(pool: Pool, places: bytearray) -> dict[int, int]:
    """Return, for each used row whose text and answer stand before it, how often they do."""
    found: dict[int, int] = {}
    for start, end in pool.copies:
        used = [row for row in pool.order[start:end] if places[row]]
        seen: Counter[tuple[str, str]] = Counter()
        # The holdout counts first: a copy that is added to training does not change the ids of the holdout.
        for row in sorted(used, key=lambda one: -places[one]):
            content = pool.input[row], pool.target[row]
            if seen[content]:
                found[row] = seen[content]
            seen[content] += 1
    return found


@dataclass(slots=True, kw_only=True)
class Outcome:
    work: Preparation
    collected: RowCollector
    division: Division
    repeats: Mapping[int, int]
    again: Mapping[int, int]
    """See `occurrences`."""
    firewall: Firewall
    recorded: Recorded | None


class Examples:
    def __init__(self, outcome: Outcome, name: SplitName) -> None:
        self._outcome = outcome
        self.rows = outcome.division.rows(outcome.work.pool, name)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Example]:
        """Yield the rows as examples; ids depend on the content and, among equals, on their number."""
        outcome, pool = self._outcome, self._outcome.work.pool
        folds, has_groups = outcome.division.folds, outcome.work.splits.by == "group"
        columns = pool.origin, pool.input, pool.target, pool.payload, pool.mark
        for rows in batched(self.rows, BATCH, strict=False):
            texts = zip(rows, *(column.of(rows) for column in columns), strict=True)
            for row, origin, text, target, payload, mark in texts:
                yield Example(
                    id=content_id(text, target, outcome.again.get(row, 0)),
                    origin=origin,
                    input=text,
                    target=target,
                    labels=pool.labels(row),
                    payload=json.loads(payload) if payload else {},
                    group=mark if has_groups else "",
                    repeat=outcome.repeats.get(row, 1),
                    fold=folds[row] if folds else 0,
                )

    def write(self, path: Path) -> None:
        write_examples(path, self)

    def digest(self) -> str:
        pool = self._outcome.work.pool
        texts, targets = (Texts(column, self.rows) for column in (pool.input, pool.target))
        return split_digest(zip(texts, targets, strict=True), self._outcome.work.scratch)


def split_digest(rows: Iterable[tuple[str, str]], scratch: Path | None = None) -> str:
    """Return the sha256 over the sorted (normalised text, target) of the rows; their order does not matter."""
    lines = (f"{normalised(text)}\t{target}\n" for text, target in rows)
    digest = hashlib.sha256()
    # A merge of sorted parts: the digest is that of all lines sorted at once, in bounded memory.
    for some in batched(heapq.merge(*_sorted_parts(lines, scratch)), BATCH, strict=False):
        digest.update("".join(some).encode(errors="surrogatepass"))
    return digest.hexdigest()


def _sorted_parts(lines: Iterable[str], scratch: Path | None) -> Iterator[Iterable[str]]:
    part, size = list[str](), 0
    for line in lines:
        part.append(line)
        size += len(line)
        if size > SORTED_IN_MEMORY:
            column = TextColumn(scratch)
            for some in batched(sorted(part), BATCH, strict=False):
                column.extend(some)
            yield Texts(column, range(len(column)))
            part, size = [], 0
    yield sorted(part)
