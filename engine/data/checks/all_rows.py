"""Checks over all rows: contradictions, repetitions, oddities, lopsided and missing classes.

Each tells what it found and, where its action is `drop`, leaves rows out of the pool.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from engine.data.checks.findings import PLACES, Findings, Quote, quote
from engine.data.reading.row import excerpt, several
from engine.data.row_index import Pool, runs
from engine.data.similarity.near import near_duplicates
from engine.data.spill import Texts
from engine.data.splitting.recorded import FRESH, RecordedSplits
from engine.recipe.model import CheckAction, Checks, Task

SMALL_SHARE = 0.05
LOPSIDED = 10
"""Rows of the largest class for each row of the smallest, above which it is reported."""


def check_conflicts(pool: Pool, task: Task, action: CheckAction, findings: Findings) -> None:
    """Find texts that stand with more than one answer; `drop` leaves out all rows of such a text.

    Kinds in which several answers may be right have no conflicts.
    """
    if action == "off" or not task.spec.has_one_answer:
        return
    groups = [rows for rows in pool.repeated() if len({pool.answer[row] for row in rows}) > 1]
    if not groups:
        return
    # Into the order in which they were read; `repeated` yields them in the order of the seed.
    groups.sort()
    for rows in groups:
        _log_group("conflicting_labels", pool, rows, findings)
    count = sum(map(len, groups))
    what = "label" if task.labels else "answer"
    message = f"{several(len(groups), 'text stands', 'texts stand')} with more than one {what}"
    message += f" ({count:,} rows)"
    examples = [_pair_text(pool, rows[:2]) for rows in groups[:PLACES]]
    findings.report("conflicting_labels", action, count, message=message, examples=examples)
    if action == "drop":
        left = sum(pool.leave_out(rows) for rows in groups)
        findings.drop("conflicting label", left)


def check_duplicates(
    pool: Pool,
    task: Task,
    action: CheckAction,
    findings: Findings,
    *,
    held: RecordedSplits | None = None,
) -> None:
    """Find rows whose text and answer stand before; `drop` keeps one of each, whatever the order.

    By group and by time copies may belong to several splits: the one in the strictest stays, so
    that a copy that is added takes no text out of the holdout.
    """
    if action == "off":
        return
    again = sorted(pair for rows in pool.repeated() for pair in _repeats(pool, rows, held))
    if not again:
        return
    for _, row, kept in again:
        record, other = pool.spill[row], pool.spill[kept].origin
        findings.row("duplicates", record.origin, text=excerpt(record.input), repeats=other)
    what = "label" if task.labels else "answer"
    message = f"{several(len(again), 'row repeats', 'rows repeat')} another row's text and {what}"
    examples = [quote(pool, row) for _, row, _ in again[:PLACES]]
    findings.report("duplicates", action, len(again), message=message, examples=examples)
    if action == "drop":
        findings.drop("duplicate", pool.leave_out([row for _, row, _ in again]))


def _strictness(pool: Pool, held: RecordedSplits | None, row: int) -> tuple[int, float]:
    """Return what is lowest for the row that is recorded, or will be drawn, for the strictest split."""
    known = FRESH if held is None else held.of(pool.identity(row))
    position: float = 0
    if pool.unit:
        position = pool.unit[row]
    elif pool.time:
        # The latest rows become the holdout.
        position = -pool.time[row]
    return (0 if known == FRESH else -known), position


def _repeats(
    pool: Pool, rows: Sequence[int], held: RecordedSplits | None
) -> Iterator[tuple[int, int, int]]:
    """Yield (row at which it is seen, row that repeats, row that stays).

    The strictest stays; of those alike in that the lowest text.
    """

    def order(row: int) -> tuple[tuple[int, float], str]:
        return _strictness(pool, held, row), pool.spill[row].input

    first: dict[int, int] = {}
    for row in rows:
        known = first.setdefault(pool.answer[row], row)
        if known != row:
            keep, leave = sorted((known, row), key=order)
            first[pool.answer[row]] = keep
            yield row, leave, keep


def check_near_duplicates(
    pool: Pool,
    action: CheckAction,
    findings: Findings,
    *,
    held: RecordedSplits | None = None,
    scratch: Path | None = None,
) -> None:
    """Find rows whose texts are nearly the same; `drop` keeps the one that is drawn first.

    A recorded row of a stricter split is kept before any other.
    Equal texts are not counted here: they are duplicates. Rows of different splits, where files or
    a column say the split, are not either: that is leakage.
    """
    if action == "off":
        return
    rows = _one_of_each_text(pool, held)
    if held is not None or pool.unit or pool.time:  # else all are alike: spare a key for each row
        rows.sort(key=lambda row: _strictness(pool, held, row))
    found = near_duplicates(Texts(pool.spill, rows), scratch=scratch)
    dropped: set[int] = set()
    alike: dict[int, tuple[int, float]] = {}
    for pair in found:
        first, second = rows[pair.first], rows[pair.second]
        if pair.exact or (pool.place and pool.place[first] != pool.place[second]):
            continue
        alike.setdefault(second, (first, pair.similarity))
        # A row is dropped only for one that stays: in a chain of small edits, every other one
        # survives.
        if first not in dropped:
            dropped.add(second)
    if not alike:
        return
    ranked = sorted(alike)
    for row in ranked:
        other, similarity = alike[row]
        record = pool.spill[row]
        facts = {"like": pool.spill[other].origin, "similarity": round(similarity, 4)}
        findings.row("near_duplicates", record.origin, text=excerpt(record.input), **facts)
    examples = [_alike_text(pool, row, *alike[row]) for row in ranked[:PLACES]]
    capped = f"; {found.capped:,} groups too large to compare in full" if found.capped else ""
    message = f"{several(len(alike), 'row is', 'rows are')} nearly the same as another"
    message += f" (Jaccard similarity of 5-character shingles at least 0.8){capped}"
    findings.report("near_duplicates", action, len(alike), message=message, examples=examples)
    if action == "drop":
        # Only one row of each text was compared; its copies go with it. Where files say the split,
        # each row was compared itself.
        ranks = set() if pool.place else {pool.rank[row] for row in dropped}
        copies = [row for row in pool.living() if row in dropped or pool.rank[row] in ranks]
        findings.drop("near duplicate", pool.leave_out(copies))


def _one_of_each_text(pool: Pool, held: RecordedSplits | None) -> list[int]:
    """Return a row of each text, the strictest, in drawn order."""
    rows = pool.living()
    if pool.place:
        return list(rows)
    return [
        min(rows[start:end], key=lambda row: _strictness(pool, held, row))
        if end - start > 1
        else rows[start]
        for start, end in runs(rows, pool.rank)
    ]


def _alike_text(pool: Pool, row: int, other: int, similarity: float) -> tuple[str | Quote, ...]:
    return quote(pool, row), f" is {similarity:.0%} like ", quote(pool, other)


def check_traits(pool: Pool, findings: Findings) -> None:
    """Find rows that differ from most in language or form; `drop` leaves them out."""
    for traits in pool.traits:
        check = traits.check
        words = list(traits.words)
        counts = Counter(traits.of[row] for row in pool.living())
        by_word = {words[number]: count for number, count in counts.items()}
        odd, message = check.odd(by_word)
        if not message:
            continue
        numbers = {traits.words[word] for word in odd}
        # In the order they were read, so that the examples do not change with the seed.
        rows = [row for row in range(len(pool)) if pool.alive[row] and traits.of[row] in numbers]
        shown = {traits.words[word]: check.shown(word, by_word) for word in odd}
        for row in rows:
            findings.row(check.name, pool.spill[row].origin, what=shown[traits.of[row]])
        examples = [(quote(pool, row), f": {shown[traits.of[row]]}") for row in rows[:PLACES]]
        findings.report(check.name, check.action, len(rows), message=message, examples=examples)
        if check.action == "drop":
            reason = f"odd {check.name.replace('_', ' ').removesuffix('s')}"
            findings.drop(reason, pool.leave_out(rows))


def check_imbalance(labels: Mapping[str, int], action: CheckAction, findings: Findings) -> None:
    """Find rare classes: under 5 % of the rows (with many classes: under half an even share).

    Also reported: more than ten rows of the largest class for each row of the smallest.
    """
    present = {label: count for label, count in labels.items() if count}
    if action == "off" or len(present) < 2:  # one class cannot be lopsided
        return
    total = sum(present.values())
    bound = min(SMALL_SHARE, 0.5 / len(present))
    rare = {label: count for label, count in present.items() if count < bound * total}
    largest, smallest = max(present.values()), min(present.values())
    if not rare and largest <= LOPSIDED * smallest:
        return
    shown = rare or {min(present, key=lambda label: present[label]): smallest}
    examples = [
        f"`{excerpt(label)}`: {count:,} of {total:,} rows ({count / total:.1%})"
        for label, count in sorted(shown.items(), key=lambda item: item[1])[:PLACES]
    ]
    message = f"classes are lopsided: the largest has {largest:,} rows, the smallest {smallest:,}"
    findings.report("imbalance", action, len(shown), message=message, examples=examples)


def check_missing_classes(
    labels: Mapping[str, int], task: Task, checks: Checks, findings: Findings
) -> None:
    """Find labels of the task that no row has."""
    missing = [label for label in task.labels if not labels.get(label)]
    if checks.missing_classes == "off" or not missing:
        return
    one = len(missing) == 1
    message = f"label `{missing[0]}` has no rows" if one else f"{len(missing)} labels have no rows"
    examples = () if one else [f"`{label}`" for label in missing]
    findings.report(
        "missing_classes", checks.missing_classes, len(missing), message=message, examples=examples
    )


def count_labels(pool: Pool, rows: Iterable[int]) -> dict[str, int]:
    """Return the rows of each label."""
    by_stratum = Counter(pool.stratum[row] for row in rows)
    counts: dict[str, int] = defaultdict(int)
    for stratum, count in by_stratum.items():
        for label in pool.strata[stratum]:
            counts[label] += count
    return dict(counts)


def _log_group(check: str, pool: Pool, rows: Sequence[int], findings: Findings) -> None:
    first = pool.spill[rows[0]].origin
    for row in rows:
        record = pool.spill[row]
        facts = {"answer": excerpt(record.target), "text": excerpt(record.input), "same_as": first}
        findings.row(check, record.origin, **facts)


def _pair_text(pool: Pool, rows: Sequence[int]) -> tuple[str | Quote, ...]:
    return quote(pool, rows[0]), " and ", quote(pool, rows[1])
