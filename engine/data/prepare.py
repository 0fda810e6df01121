"""From rows to splits: label, clean, sample, divide, compare. Every problem is told at once.

Pure: reads an iterator, returns a value. The order of the rows changes nothing but the
origins of rows that repeat each other word for word.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.data.candidates import Candidate, Gathered, draw, gather
from engine.data.checks import (
    check_conflicts,
    check_duplicates,
    check_imbalance,
    count_labels,
    leakage_finding,
    refusal,
)
from engine.data.example import Example, content_id, normalised
from engine.data.leakage import Leak, find_leaks
from engine.data.row import Row
from engine.data.splits import Divided, divide, missing_classes
from engine.errors import DataError, Problem
from engine.evidence import DataFinding, DataSummary, SplitSummary
from engine.recipe.model import Data, Sample, Splits, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The splits and what was found on the way."""

    train: list[Example]
    validation: list[Example]
    holdout: list[Example]
    summary: DataSummary


@dataclass(slots=True)
class _Work:
    """What the steps found so far."""

    dropped: Counter[str]
    findings: list[DataFinding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, finding: DataFinding | None) -> None:
        """Keep a finding, and its problem when its check says `fail`."""
        if finding is None:
            return
        self.findings.append(finding)
        if finding.action == "fail":
            self.problems.append(refusal(finding))


def prepare(rows: Iterable[Row], task: Task, *, data: Data, splits: Splits) -> Prepared:
    """Return the three splits of `rows` and their summary.

    DataError with every problem: rows without a label, checks that say `fail`, too few rows.
    """
    gathered = gather(rows, task, data)
    work = _Work(dropped=gathered.dropped, problems=list(gathered.problems))
    for finding in gathered.findings:
        work.add(finding)
    candidates = _clean(gathered, data, work)
    candidates = _sample(candidates, data.sample, work)
    work.add(check_imbalance(count_labels(candidates), data.checks.imbalance))
    divided = _divide(candidates, task, splits=splits, work=work)
    holdout = _examples(divided["holdout"])
    seen = {name: _examples(divided[name]) for name in ("train", "validation")}
    leaks = _check_leakage(holdout, seen, data, work)
    if work.problems:
        raise DataError(work.problems)
    summary = DataSummary(
        rows_read=gathered.rows_read,
        rows_used=len(holdout) + sum(map(len, seen.values())),
        dropped=dict(sorted(work.dropped.items())),
        splits=tuple(
            _summary(name, examples, task.labels)
            for name, examples in (*seen.items(), ("holdout", holdout))
        ),
        findings=tuple(work.findings),
        overlap_exact=len({leak.holdout.id for leak in leaks if leak.similarity == 1.0}),
        overlap_near=len({leak.holdout.id for leak in leaks if leak.similarity < 1.0}),
    )
    return Prepared(
        train=seen["train"], validation=seen["validation"], holdout=holdout, summary=summary
    )


def _clean(gathered: Gathered, data: Data, work: _Work) -> list[Candidate]:
    before = gathered.candidates
    after, finding = check_conflicts(before, data.checks.conflicting_labels)
    work.add(finding)
    _count(work, "conflicting label", len(before) - len(after))
    before = after
    after, finding = check_duplicates(before, data.checks.duplicates)
    work.add(finding)
    _count(work, "duplicate", len(before) - len(after))
    return after


def _count(work: _Work, reason: str, rows: int) -> None:
    if rows:
        work.dropped[reason] += rows


def _sample(candidates: list[Candidate], sample: Sample | None, work: _Work) -> list[Candidate]:
    if sample is None:
        return candidates
    if len(candidates) < sample.rows and not work.problems:
        message = f"{sample.rows:,} rows asked for, {len(candidates):,} are left after the checks"
        hint = f"`rows: {len(candidates)}` takes them all"
        work.problems.append(
            Problem(code="D313", message=message, path="data.sample.rows", hint=hint)
        )
    seed = sample.seed
    ranked = sorted(
        candidates,
        key=lambda one: (draw("sample", seed, one.key), one.input, one.target, one.origin),
    )
    _count(work, "not sampled", len(ranked[sample.rows :]))
    return ranked[: sample.rows]


def _divide(candidates: Sequence[Candidate], task: Task, *, splits: Splits, work: _Work) -> Divided:
    """Divide; a shortage is only told when nothing before it explains it."""
    divided, problems = divide(candidates, splits)
    if not problems:
        problems = missing_classes(divided, task.labels, candidates, splits)
    if not work.problems:
        work.problems += problems
    _count(work, "in no split", len(candidates) - sum(map(len, divided.values())))
    return divided


def _examples(candidates: Sequence[Candidate]) -> list[Example]:
    """Return examples with ids that depend on the content and, among equals, on their number."""
    seen: Counter[tuple[str, str]] = Counter()
    examples = []
    for one in candidates:
        identity = content_id(one.input, one.target, seen[one.input, one.target])
        seen[one.input, one.target] += 1
        examples.append(
            Example(
                id=identity,
                origin=one.origin,
                input=one.input,
                target=one.target,
                labels=(one.target,),
            )
        )
    return examples


def _check_leakage(
    holdout: Sequence[Example], seen: dict[str, list[Example]], data: Data, work: _Work
) -> list[Leak]:
    """Compare the splits; `drop` takes the rows out of train and validation and leaves no leak."""
    action = data.checks.leakage
    leaks = list(find_leaks(holdout, [*seen["train"], *seen["validation"]]))
    work.add(leakage_finding(leaks, action))
    if action != "drop":
        return leaks
    leaked = {leak.other.id for leak in leaks}
    for name, examples in seen.items():
        kept = [example for example in examples if example.id not in leaked]
        _count(work, "near the holdout", len(examples) - len(kept))
        seen[name] = kept
    return []


def _summary(name: str, examples: Sequence[Example], labels: Sequence[str]) -> SplitSummary:
    counts = count_labels(examples)
    return SplitSummary(
        name=name,
        rows=len(examples),
        labels={label: counts[label] for label in labels},
        digest=split_digest(examples),
        seen=len(examples),
    )


def split_digest(examples: Iterable[Example]) -> str:
    """Return the sha256 over the sorted normalised rows; their order does not matter."""
    lines = sorted(f"{normalised(example.input)}\t{example.target}\n" for example in examples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
