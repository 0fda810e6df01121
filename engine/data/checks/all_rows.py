"""Checks over all rows: contradictions, repetitions, oddities, lopsided and missing classes."""

import re
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from heapq import nsmallest
from typing import Final

from engine.data.checks.findings import ByRow, Preparation, Shown, drop_reason, quote
from engine.data.checks.rows.base import TraitCheck
from engine.data.checks.rows.languages import LANGUAGES
from engine.data.checks.rows.output_format import OUTPUT_FORMAT
from engine.data.reading.row import excerpt, several
from engine.data.row_index import Pool, Texts, runs
from engine.data.similarity.near import near_duplicates
from engine.data.splitting.recorded import FRESH
from engine.kinds import AnswerForm
from engine.recipe.model import Checks, Task

MOST: Final = 20_000
"""Rows that are looked at: the first ones, as they stand."""
LEAST: Final = 5
"""Texts of the greatest length, or of a label, of which fewer may be chance."""
SHARE: Final = 0.02
"""Of all texts, those of the greatest length."""
SPIKE: Final = 10
"""Times as many texts have the greatest length as any of the `NEAR` lengths below it."""
NEAR: Final = 10
SPREAD: Final = 10
"""Different lengths that texts have at least: codes and forms have few."""
PROSE: Final = 3
"""Blanks that no code or form has, but most sentences."""
LONG: Final = 20
BROKEN: Final = 0.7
"""Share of texts of the greatest length that end within a sentence."""
ENDS: Final = (".", "!", "?", '"', "'", ")", "…", "”", "»", ":", ";", "。", "\uff01", "\uff1f")
NEARLY: Final = 0.95
"""Share of the texts of one label that begin or end with white space, where of the others as many do not."""
WORD: Final = re.compile(r"\w+")
OF_A_LABEL: Final = 0.2
"""Share of all rows that a label has at least: narrow intents have words of their own, such as "routing" of a bank."""
DELIMITERS: Final = r"[,;|\t]"


def check_spoiled(work: Preparation) -> None:
    """Report texts that were cut at one length, that hold rows of their file, or whose white space is their label."""
    pool, checks = work.pool, work.data.checks
    rows = nsmallest(MOST, pool.living())
    texts = [pool.input[row] for row in rows]
    parts = {"text": texts}
    if work.task.spec.answer is AnswerForm.TEXT:
        parts["answer"] = [pool.target[row] for row in rows]
    for what, values in parts.items():
        if found := cut_at(values):
            count, length = found
            message = f"{several(count, f'{what} ends', f'{what}s end')} at exactly {length:,} characters, most of them"
            message += " within a sentence, and none is longer: they were cut before they came here"
            work.findings.report("mojibake", checks.mojibake, count, message=message)
    if not work.task.labels:
        return
    if count := sum(1 for _ in swallowed(texts, work.task.labels)):
        message = f"{several(count, 'text holds', 'texts hold')} a line that ends with a label, as a row of the file"
        message += " does: a quote may not be closed"
        work.findings.report("label_in_input", checks.label_in_input, count, message=message)
    # Only rows of one label: those of several share what joins them, such as "also".
    of_one = [
        (text, names)
        for text, row in zip(texts, rows, strict=True)
        if len(names := pool.labels(row)) == 1
    ]
    texts, labels = [text for text, _ in of_one], [label for _, (label,) in of_one]
    says = "it says the label"
    if label := spaced(texts, labels):
        message = f"texts of `{label}` begin or end with white space, and others do not: {says}"
        work.findings.report("label_in_input", checks.label_in_input, len(texts), message=message)
    for label, word in telling_words(texts, labels).items():
        message = f"`{excerpt(word)}` is in nearly all texts of `{label}` and in nearly none of the others: {says}"
        work.findings.report("label_in_input", checks.label_in_input, len(texts), message=message)


def cut_at(texts: Sequence[str]) -> tuple[int, int] | None:
    """Return how many texts were cut, and at which length; None for none."""
    counts = Counter(map(len, texts))
    longest = max(counts, default=0)
    count = counts[longest]
    is_prose = len({*texts}) >= SPREAD and all(text.count(" ") >= PROSE for text in texts)
    is_form = len(counts) < SPREAD and not is_prose
    if longest < LONG or is_form or count < max(LEAST, SHARE * len(texts)):
        return None
    # One less where the cut was behind a blank, which readers take off.
    if count < SPIKE * max(counts[longest - step] for step in range(2, NEAR + 1)):
        return None
    ends = [text.rstrip() for text in texts if len(text) == longest]
    broken = sum(not text.endswith(ENDS) for text in ends)
    return (count, longest) if broken >= BROKEN * count else None


def swallowed(texts: Iterable[str], labels: Sequence[str]) -> Iterator[str]:
    """Yield texts in which a line that is not the last one ends with a delimiter and a label."""
    names = "|".join(re.escape(label) for label in labels)
    line = re.compile(rf'{DELIMITERS}\s?"?(?:{names})"?[ \t]*\r?\n')
    return (text for text in texts if "\n" in text and line.search(text))


def spaced(texts: Sequence[str], labels: Sequence[str]) -> str:
    """Return the label whose texts have white space around them where nearly none of the others has; "" for none."""
    have = ({" "} if text != text.strip() else set[str]() for text in texts)
    return next(iter(_telling(have, labels)), "")


def telling_words(texts: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Return for labels the word that nearly all of their texts hold and nearly none of the others.

    Only for labels of a fifth of the rows, unless each label has such a word.
    """
    found = _telling(({*WORD.findall(text.casefold())} for text in texts), labels)
    rows_of = Counter(labels)
    least = 0 if len(found) == len(rows_of) else OF_A_LABEL * len(texts)
    return {label: word for label, word in found.items() if rows_of[label] >= least}


def _telling(traits: Iterable[set[str]], labels: Sequence[str]) -> dict[str, str]:
    """Return the trait of a label that nearly all of its texts have and nearly none of the others, where it has one."""
    total, of = Counter[str](), defaultdict[str, Counter[str]](Counter)
    for having, label in zip(traits, labels, strict=True):
        total.update(having)
        of[label].update(having)
    found = dict[str, str]()
    for label, own in Counter(labels).items():
        others = len(labels) - own
        # By name among equals: sets have no order.
        telling = sorted(
            (-count, trait)
            for trait, count in of[label].items()
            if count >= NEARLY * own and total[trait] - count <= (1 - NEARLY) * others
        )
        if telling and min(own, others) >= LEAST:
            found[label] = telling[0][1]
    return found


SMALL_SHARE = 0.05
LOPSIDED = 10
"""Rows of the largest class for each row of the smallest, above which it is reported."""


def check_conflicts(work: Preparation) -> None:
    """Find texts with several answers, for kinds with one right answer; `drop` leaves out all rows of such a text."""
    pool, task = work.pool, work.task
    if work.data.checks.conflicting_labels == "off" or not task.spec.has_one_answer:
        return
    # In the order in which they were read; `repeated` yields them in the order of the seed.
    groups = sorted(rows for rows in pool.repeated() if len({pool.answer[row] for row in rows}) > 1)
    if not groups:
        return
    rows = [row for group in groups for row in group]
    for group in groups:
        first = pool.origin[group[0]]
        for row in group:
            facts = {"answer": excerpt(pool.target[row]), "text": excerpt(pool.input[row])}
            work.findings.row("conflicting_labels", pool.origin[row], **facts, same_as=first)
    # Each row beside the next one of its text.
    other = {row: group[(at + 1) % len(group)] for group in groups for at, row in enumerate(group)}
    what = "label" if task.labels else "answer"
    message = f"{several(len(groups), 'text stands', 'texts stand')} with more than one {what}"
    work.report(
        "conflicting_labels",
        len(rows),
        message=f"{message} ({len(rows):,} rows)",
        examples=ByRow(
            rows=rows, show=lambda row: (quote(pool, row), " and ", quote(pool, other[row]))
        ),
        reason="conflicting label",
        rows=rows,
    )


def check_duplicates(work: Preparation) -> None:
    """Find rows whose text and answer stand before; `drop` keeps one of each, whatever the order.

    By group and by time copies may belong to several splits: the one in the strictest stays, so
    that a copy that is added takes no text out of the holdout.
    """
    if work.data.checks.duplicates == "off":
        return
    pool = work.pool
    again = sorted(pair for rows in pool.repeated() for pair in _repeats(work, rows))
    if not again:
        return
    for _, row, kept in again:
        text, other = excerpt(pool.input[row]), pool.origin[kept]
        work.findings.row("duplicates", pool.origin[row], text=text, repeats=other)
    what = "label" if work.task.labels else "answer"
    message = f"{several(len(again), 'row repeats', 'rows repeat')} another row's text and {what}"
    rows = [row for _, row, _ in again]
    examples = (quote(pool, row) for row in rows)
    work.report(
        "duplicates", len(rows), message=message, examples=examples, reason="duplicate", rows=rows
    )


def _strictness(work: Preparation, row: int) -> tuple[int, float]:
    """Return what is lowest for the row that is recorded, or will be drawn, for the strictest split."""
    pool, held = work.pool, work.held
    known = FRESH if held is None else held.of(pool.identity(row))
    position: float = 0
    if pool.unit:
        position = pool.unit[row]
    elif pool.time:
        # The latest rows become the holdout.
        position = -pool.time[row]
    return (0 if known == FRESH else -known), position


def _repeats(work: Preparation, rows: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (row at which it is seen, row that repeats, row that stays): the strictest, then the lowest text."""
    pool = work.pool

    def order(row: int) -> tuple[tuple[int, float], str]:
        return _strictness(work, row), pool.input[row]

    first: dict[int, int] = {}
    for row in rows:
        known = first.setdefault(pool.answer[row], row)
        if known != row:
            keep, leave = sorted((known, row), key=order)
            first[pool.answer[row]] = keep
            yield row, leave, keep


def check_near_duplicates(work: Preparation) -> None:
    """Find rows whose texts are nearly the same; `drop` keeps the one that is drawn first.

    A recorded row of a stricter split is kept before any other. Equal texts are not counted here: they are duplicates.
    Rows of different splits, where files or a column say the split, are not either: that is leakage.
    """
    pool = work.pool
    rows = _one_of_each_text(work)
    found, large = near_duplicates(Texts(pool.input, rows))
    dropped: set[int] = set()
    alike: dict[int, tuple[int, float]] = {}
    for pair in found:
        first, second = rows[pair.first], rows[pair.second]
        if pair.exact or (pool.place and pool.place[first] != pool.place[second]):
            continue
        alike.setdefault(second, (first, pair.similarity))
        # A row is dropped only for one that stays: in a chain of small edits, every other one survives.
        if first not in dropped:
            dropped.add(second)
    if not alike:
        return

    def likeness(row: int) -> Shown:
        other, similarity = alike[row]
        return quote(pool, row), f" is {similarity:.0%} like ", quote(pool, other)

    ranked = sorted((row, *other) for row, other in alike.items())
    for row, other, similarity in ranked:
        facts = {"like": pool.origin[other], "similarity": round(similarity, 4)}
        text = excerpt(pool.input[row])
        work.findings.row("near_duplicates", pool.origin[row], text=text, **facts)
    capped = f"; {large:,} groups too large to compare in full" if large else ""
    message = f"{several(len(alike), 'row is', 'rows are')} nearly the same as another"
    work.report(
        "near_duplicates",
        len(alike),
        message=f"{message} (Jaccard similarity of 5-character shingles at least 0.8){capped}",
        examples=ByRow(rows=sorted(alike), show=likeness),
        reason="near duplicate",
        rows=dropped if pool.place else _with_copies(pool, dropped),
    )


def _with_copies(pool: Pool, rows: Iterable[int]) -> Iterator[int]:
    """Yield the rows and all of equal texts: only one row of each text was compared, but where files say the split."""
    rank_of = pool.rank.__getitem__
    for rank in {pool.rank[row] for row in rows}:
        start = bisect_left(pool.order, rank, key=rank_of)
        yield from pool.order[start : bisect_right(pool.order, rank, start, key=rank_of)]


def _one_of_each_text(work: Preparation) -> array[int]:
    """Return a row of each text, the strictest, in the order in which rows are kept before others."""
    pool = work.pool
    rows, strictness = pool.living(), partial(_strictness, work)
    if not pool.place and next(runs(rows, pool.rank, least=2), None):
        rows = array(
            "I",
            (
                min(rows[start:end], key=strictness) if end - start > 1 else rows[start]
                for start, end in runs(rows, pool.rank)
            ),
        )
    if work.held is not None or pool.unit or pool.time:  # else all are alike: spare a key each
        rows = array("I", sorted(rows, key=strictness))
    return rows


def trait_checks(task: Task, checks: Checks) -> tuple[TraitCheck, ...]:
    """Return the checks that compare rows by a trait and are not off."""
    # the engine itself writes the answers of other forms
    more = [OUTPUT_FORMAT] if task.spec.answer is AnswerForm.TEXT else []
    return tuple(one for one in (LANGUAGES, *more) if getattr(checks, one.name) != "off")


def check_traits(work: Preparation) -> None:
    pool = work.pool
    for check in trait_checks(work.task, work.data.checks):
        texts = pool.target if check.of_answers else pool.input
        rows, every = pool.living(), ""
        if len(rows) > check.most and getattr(work.data.checks, check.name) != "drop":
            every = f" ({check.most:,} of {len(rows):,} rows were read)"
            rows = array("I", nsmallest(check.most, rows, key=pool.key.__getitem__))
        traits = {row: sys.intern(check.trait(texts[row])) for row in rows}
        counts = Counter(traits.values())
        odd, message = check.odd(counts)
        if not message:
            continue
        shown = {trait: check.shown(trait, counts) for trait in odd}
        # In the order they were read, so that the examples do not change with the seed.
        found = {row: shown[traits[row]] for row in sorted(rows) if traits[row] in shown}
        for row, what in found.items():
            work.findings.row(check.name, pool.origin[row], what=what)
        work.report(
            check.name,
            len(found),
            message=f"{message}{every}",
            examples=((quote(pool, row), f": {what}") for row, what in found.items()),
            reason=f"odd {drop_reason(check.name)}",
            rows=found,
        )


def check_imbalance(work: Preparation, labels: Mapping[str, int]) -> None:
    """Find rare classes (under 5 % of the rows, or half an even share), and one ten times as large as another."""
    present = {label: count for label, count in labels.items() if count}
    if work.data.checks.imbalance == "off" or len(present) < 2:  # one class cannot be lopsided
        return
    # Not the sum of the labels: a row may have several.
    total = len(work.pool.living())
    bound = min(SMALL_SHARE, 0.5 / len(present))
    rare = {label: count for label, count in present.items() if count < bound * total}
    largest, smallest = max(present.values()), min(present.values())
    if not rare and largest <= LOPSIDED * smallest:
        return
    shown = rare or {min(present, key=lambda label: present[label]): smallest}
    examples = [
        f"`{excerpt(label)}`: {count:,} of {total:,} rows ({count / total:.1%})"
        for label, count in sorted(shown.items(), key=lambda item: item[1])
    ]
    message = f"classes are lopsided: the largest has {largest:,} rows, the smallest {smallest:,}"
    work.report("imbalance", len(shown), message=message, examples=examples)


def check_missing_classes(work: Preparation, labels: Mapping[str, int]) -> None:
    missing = [label for label in work.task.labels if not labels.get(label)]
    if work.data.checks.missing_classes == "off" or not missing:
        return
    one = len(missing) == 1
    message = f"label `{missing[0]}` has no rows" if one else f"{len(missing)} labels have no rows"
    examples = () if one else [f"`{label}`" for label in missing]
    work.report("missing_classes", len(missing), message=message, examples=examples)


def count_labels(pool: Pool, rows: Sequence[int]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for stratum, count in Counter(pool.stratum[row] for row in rows).items():
        for label in pool.strata[stratum]:
            found[label] += count
    return dict(found)
