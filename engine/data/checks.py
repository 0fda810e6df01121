"""Checks over all candidates: repeated texts, contradicting labels, lopsided classes.

Each returns what is left and what it found; what `fail` means is decided by `refusal`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from engine.data.candidates import PLACES, Candidate, place
from engine.data.example import Example
from engine.data.leakage import Leak
from engine.data.row import excerpt
from engine.errors import Problem
from engine.evidence import DataFinding
from engine.recipe.model import CheckAction

CODES = {
    "empty": "D304",
    "unknown_labels": "D305",
    "duplicates": "D306",
    "conflicting_labels": "D307",
    "imbalance": "D308",
    "leakage": "D310",
}
SMALL_SHARE = 0.05
LOPSIDED = 10
"""Rows of the largest class for each row of the smallest, above which it is told."""
SHOWN = 5

Kept = tuple[list[Candidate], DataFinding | None]


def refusal(finding: DataFinding) -> Problem:
    """Return the problem of a finding whose check says `fail`."""
    shown = "; ".join(finding.examples[:SHOWN])
    more = "; …" if len(finding.examples) > SHOWN else ""
    softer = "warn" if finding.check == "imbalance" else "drop"
    return Problem(
        code=CODES[finding.check],
        message=f"{finding.message}: {shown}{more}" if shown else finding.message,
        path=f"data.checks.{finding.check}",
        hint=f"correct the rows, or write `{finding.check}: {softer}`",
    )


def check_conflicts(candidates: Sequence[Candidate], action: CheckAction) -> Kept:
    """Find texts that stand with more than one label; `drop` leaves out all rows of such a text."""
    labels: dict[bytes, set[str]] = defaultdict(set)
    for candidate in candidates:
        labels[candidate.key].add(candidate.target)
    conflicting = {key for key, found in labels.items() if len(found) > 1}
    if action == "off" or not conflicting:
        return list(candidates), None
    rows: dict[bytes, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.key in conflicting:
            rows[candidate.key].append(candidate)
    count = sum(map(len, rows.values()))
    told = tuple(" and ".join(map(place, group[:2])) for group in list(rows.values())[:PLACES])
    message = f"{len(rows):,} texts stand with more than one label ({count:,} rows)"
    finding = _finding("conflicting_labels", action, count, message=message, places=told)
    if action != "drop":
        return list(candidates), finding
    return [one for one in candidates if one.key not in conflicting], finding


def check_duplicates(candidates: Sequence[Candidate], action: CheckAction) -> Kept:
    """Find rows whose text and label stand before; `drop` keeps one of each, whatever the order."""
    first: dict[tuple[bytes, str], Candidate] = {}
    again: list[Candidate] = []
    for candidate in candidates:
        known = first.setdefault((candidate.key, candidate.target), candidate)
        if known is candidate:
            continue
        keep, leave = sorted((known, candidate), key=lambda one: one.input)
        first[candidate.key, candidate.target] = keep
        again.append(leave)
    if action == "off" or not again:
        return list(candidates), None
    message = f"{len(again):,} rows repeat another row's text and label"
    told = tuple(map(place, again[:PLACES]))
    finding = _finding("duplicates", action, len(again), message=message, places=told)
    return (list(first.values()) if action == "drop" else list(candidates)), finding


def check_imbalance(labels: Mapping[str, int], action: CheckAction) -> DataFinding | None:
    """Find rare classes: under 5 % of the rows (with many classes: under half an even share).

    Also told: more than ten rows of the largest class for each row of the smallest.
    """
    present = {label: count for label, count in labels.items() if count}
    if action == "off" or len(present) < 2:  # noqa: PLR2004 - one class cannot be lopsided
        return None
    total = sum(present.values())
    bound = min(SMALL_SHARE, 0.5 / len(present))
    rare = {label: count for label, count in present.items() if count < bound * total}
    largest, smallest = max(present.values()), min(present.values())
    if not rare and largest <= LOPSIDED * smallest:
        return None
    shown = rare or {min(present, key=lambda label: present[label]): smallest}
    told = tuple(
        f"`{excerpt(label)}`: {count:,} of {total:,} rows ({count / total:.1%})"
        for label, count in sorted(shown.items(), key=lambda item: item[1])[:PLACES]
    )
    message = f"classes are lopsided: the largest has {largest:,} rows, the smallest {smallest:,}"
    return _finding("imbalance", action, len(shown), message=message, places=told)


def leakage_finding(leaks: Sequence[Leak], action: CheckAction) -> DataFinding | None:
    """Return what leaks: rows of train or validation that stand, nearly, in the holdout."""
    if action == "off" or not leaks:
        return None
    strongest: dict[str, Leak] = {}
    for leak in leaks:
        known = strongest.get(leak.other.id)
        if known is None or leak.similarity > known.similarity:
            strongest[leak.other.id] = leak
    ranked = sorted(strongest.values(), key=lambda leak: (-leak.similarity, leak.other.id))
    told = tuple(
        f"{leak.other.origin} `{excerpt(leak.other.input)}` is {leak.similarity:.0%} like"
        f" {leak.holdout.origin} of the holdout"
        for leak in ranked[:PLACES]
    )
    message = (
        f"{len(ranked):,} rows of train and validation also stand in the holdout, or nearly so"
    )
    return _finding("leakage", action, len(ranked), message=message, places=told)


def count_labels(examples: Sequence[Example] | Sequence[Candidate]) -> Counter[str]:
    """Return the rows of each label."""
    return Counter(example.target for example in examples)


def _finding(
    check: str, action: CheckAction, count: int, *, message: str, places: tuple[str, ...]
) -> DataFinding:
    return DataFinding(check=check, action=action, count=count, message=message, examples=places)
