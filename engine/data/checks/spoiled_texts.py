"""Texts that were spoiled on their way here, as a whole set shows: cut at one length, or rows that swallowed others.

A column of a database holds 255 characters, and cuts what is longer; a quote that is not closed makes several rows one;
and a space behind the texts of one class says the label to a model that sees it, and to no reader.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Final

from engine.data.preparation import Preparation
from engine.data.reading.row import several

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
LONG: Final = 20
BROKEN: Final = 0.7
"""Share of texts of the greatest length that end within a sentence."""
ENDS: Final = (".", "!", "?", '"', "'", ")", "…", "”", "»", ":", ";", "。", "\uff01", "\uff1f")
NEARLY: Final = 0.95
"""Share of the texts of one label that begin or end with white space, where of the others as many do not."""
DELIMITERS: Final = r"[,;|\t]"


def check_spoiled(work: Preparation) -> None:
    """Report texts that were cut at one length, that hold rows of their file, or whose white space is their label."""
    pool, checks = work.pool, work.data.checks
    rows = nsmallest(MOST, pool.living())
    texts = [pool.spill[row].input for row in rows]
    if found := cut_at(texts):
        count, length = found
        message = f"{several(count, 'text ends', 'texts end')} at exactly {length:,} characters, most of them within"
        message += " a sentence, and none is longer: they were cut before they came here"
        work.findings.report("mojibake", checks.mojibake, count, message=message)
    if not work.task.labels:
        return
    if count := sum(1 for _ in swallowed(texts, work.task.labels)):
        message = f"{several(count, 'text holds', 'texts hold')} a line that ends with a label, as a row of the file"
        message += " does: a quote may not be closed"
        work.findings.report("label_in_input", checks.label_in_input, count, message=message)
    labels = [pool.labels(row) for row in rows]
    if label := spaced(texts, [one[0] if len(one) == 1 else "" for one in labels]):
        message = f"texts of `{label}` begin or end with white space, and others do not: it says the label"
        work.findings.report("label_in_input", checks.label_in_input, len(rows), message=message)


def cut_at(texts: Sequence[str]) -> tuple[int, int] | None:
    """Return how many texts were cut, and at which length; None for none."""
    counts = Counter(map(len, texts))
    longest = max(counts, default=0)
    count = counts[longest]
    if longest < LONG or len(counts) < SPREAD or count < max(LEAST, SHARE * len(texts)):
        return None
    if count < SPIKE * max(counts[longest - step] for step in range(1, NEAR + 1)):
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
    of = defaultdict[str, list[bool]](list)
    for text, label in zip(texts, labels, strict=True):
        of[label].append(text != text.strip())
    for label, found in of.items():
        others = [one for other, those in of.items() if other != label for one in those]
        few = min(len(found), len(others)) < LEAST
        if (
            not few
            and sum(found) >= NEARLY * len(found)
            and sum(others) <= (1 - NEARLY) * len(others)
        ):
            return label
    return ""
