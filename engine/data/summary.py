"""What was read, dropped and divided, as the report shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

from engine.data.checks.all_rows import count_labels
from engine.data.examples.output import Examples, Outcome
from engine.data.reading.sources import source_names
from engine.data.row_index import Assignment, Pool
from engine.data.splitting.weights import seen
from engine.evidence import DataSummary, SourceSummary, SplitSummary
from engine.recipe.methods import asked_sizes
from engine.recipe.model import SplitName


def summarise(outcome: Outcome, examples: Mapping[SplitName, Examples]) -> DataSummary:
    """Return the summary of the data stage."""
    work, firewall = outcome.work, outcome.firewall
    splits = tuple(_split(name, split, outcome) for name, split in examples.items())
    return DataSummary(
        rows_read=outcome.collected.read_by_source.total(),
        rows_used=sum(split.rows for split in splits),
        dropped=dict(sorted(work.findings.dropped.items())),
        splits=splits,
        # The summary lies beside the training rows, where no text of the holdout may stand.
        findings=work.findings.found(
            hidden=set(examples["holdout"].rows),
            split_of=partial(_split_of, outcome),
        ),
        overlap_exact=firewall.left_exact,
        overlap_near=firewall.left_near,
        sources=tuple(_sources(outcome, examples)),
        firewall=firewall,
        recorded=outcome.recorded,
        folds=work.splits.folds,
    )


def _split_of(outcome: Outcome, row: int) -> str:
    place = Assignment(outcome.division.places[row])
    return "" if place is Assignment.NONE else place.split


def _split(name: SplitName, examples: Examples, outcome: Outcome) -> SplitSummary:
    work, pool = outcome.work, outcome.work.pool
    counts = count_labels(pool, examples.rows)
    asked, division = asked_sizes(work.splits)[name], outcome.division
    group_of = Counter(pool.unit[row] for row in examples.rows) if pool.unit else Counter[int]()
    left_out = Counter(check for place, check in division.dropped.values() if place.split == name)
    return SplitSummary(
        name=name,
        rows=len(examples),
        labels={label: counts.get(label, 0) for label in work.task.labels},
        digest=examples.digest(),
        seen=seen(examples.rows, outcome.repeats if name == "train" else {}),
        groups=len(group_of) if pool.unit else None,
        group_sizes=tuple(sorted(Counter(group_of.values()).items())),
        span=_span(pool, examples) if pool.time and not pool.is_by_place else None,
        asked=asked if isinstance(asked, int) else None,
        left_out=dict(sorted(left_out.items())),
        replaced=division.replaced if name == "train" else 0,
    )


def _span(pool: Pool, examples: Examples) -> tuple[str, str] | None:
    """Return the first and the last time, as written."""
    if not len(examples):
        return None
    first = min(examples.rows, key=pool.time.__getitem__)
    last = max(examples.rows, key=pool.time.__getitem__)
    return pool.spill[first].mark, pool.spill[last].mark


def _sources(outcome: Outcome, examples: Mapping[SplitName, Examples]) -> Iterator[SourceSummary]:
    sources, collected = outcome.work.data.sources, outcome.collected
    pool = outcome.work.pool
    used = Counter[int]()
    for split in examples.values():
        used.update(pool.source[row] for row in split.rows)
    for number, (source, name) in enumerate(zip(sources, source_names(sources), strict=True)):
        yield SourceSummary(
            name=name,
            shape=collected.formats.get(number, "columns"),
            rows_read=collected.read_by_source[number],
            rows_used=used[number],
            weight=source.weight,
            into=source.into,
        )
