"""What was read, dropped and divided, as the report shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.data.checks.all_rows import count_labels
from engine.data.checks.findings import Findings
from engine.data.examples.candidates import CandidateOptions, CollectedRows
from engine.data.examples.output import Examples, split_digest
from engine.data.reading.sources import source_names
from engine.data.splitting.weights import seen
from engine.evidence import DataSummary, Firewall, Recorded, SourceSummary, SplitSummary
from engine.recipe.model import SplitName


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationFacts:
    """What the steps of the preparation found out."""

    collected: CollectedRows
    splits: dict[SplitName, Examples]
    repeats: dict[int, int]
    firewall: Firewall
    recorded: Recorded | None


def summarise(
    facts: PreparationFacts, options: CandidateOptions, findings: Findings, scratch: Path | None
) -> DataSummary:
    """Return the summary of the data stage."""
    splits = tuple(
        _split(name, examples, facts, options, scratch) for name, examples in facts.splits.items()
    )
    return DataSummary(
        rows_read=facts.collected.rows_read,
        rows_used=sum(split.rows for split in splits),
        dropped=dict(sorted(findings.dropped.items())),
        splits=splits,
        # The summary lies beside the training rows, where no text of the holdout may stand.
        findings=findings.found(hidden=set(facts.splits["holdout"].rows)),
        overlap_exact=facts.firewall.left_exact,
        overlap_near=facts.firewall.left_near,
        sources=tuple(_sources(facts, options)),
        firewall=facts.firewall,
        recorded=facts.recorded,
        folds=options.splits.folds,
    )


def _split(
    name: SplitName,
    examples: Examples,
    facts: PreparationFacts,
    options: CandidateOptions,
    scratch: Path | None,
) -> SplitSummary:
    pool = facts.collected.pool
    counts = count_labels(pool, examples.rows)
    return SplitSummary(
        name=name,
        rows=len(examples),
        labels={label: counts.get(label, 0) for label in options.task.labels},
        digest=split_digest(examples, scratch),
        seen=seen(examples.rows, facts.repeats if name == "train" else {}),
        groups=len({pool.unit[row] for row in examples.rows}) if pool.unit else None,
        span=_span(examples, facts) if pool.time else None,
    )


def _span(examples: Examples, facts: PreparationFacts) -> tuple[str, str] | None:
    """Return the first and the last time, as written."""
    pool = facts.collected.pool
    if not len(examples):
        return None
    first = min(examples.rows, key=pool.time.__getitem__)
    last = max(examples.rows, key=pool.time.__getitem__)
    return pool.spill[first].mark, pool.spill[last].mark


def _sources(facts: PreparationFacts, options: CandidateOptions) -> Iterator[SourceSummary]:
    sources = options.data.sources
    pool = facts.collected.pool
    used = Counter(pool.source[row] for examples in facts.splits.values() for row in examples.rows)
    for number, (source, name) in enumerate(zip(sources, source_names(sources), strict=True)):
        yield SourceSummary(
            name=name,
            shape=facts.collected.formats.get(number, "columns"),
            rows_read=facts.collected.read_by_source[number],
            rows_used=used[number],
            weight=source.weight,
            into=source.into,
        )
