"""Training and validation rows that are also in the holdout, exactly or nearly: reported, and removed."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from engine.data.checks.findings import Preparation, Quote, Shown
from engine.data.examples.example import normalised
from engine.data.reading.row import excerpt, several
from engine.data.row_index import Assignment, Pool, Texts
from engine.data.similarity.near import SIMILAR, Match, leaks
from engine.data.splitting.splits import Division
from engine.evidence import Firewall
from engine.values import replace

WORD = re.compile(r"\w+")
LEAST, MOST = 0.5, 0.8
"""The bound on the share of common words lies between them."""
USUAL = 0.99
"""This share of the training rows is less near to its nearest row that judges."""
SAMPLE = 500
FEW_WORDS = 4
"""Texts of fewer words are compared by their shingles only."""


class TooNear:
    """Asked for texts; built from rows that judge, and training rows that say how near is usual."""

    def __init__(self, judging: Sequence[str], train: Sequence[str]) -> None:
        self._texts = list(judging)
        self._reworded = _Reworded(judging, train)

    def __call__(self, texts: Sequence[str]) -> tuple[bool, ...]:
        if not self._texts:
            return (False,) * len(texts)
        near = {match.other for match in leaks(self._texts, enumerate(texts))}
        return tuple(
            place in near or self._reworded.holds(text) for place, text in enumerate(texts)
        )


class _Reworded:
    """Finds a text whose words are mostly those of another, in any order."""

    def __init__(self, judging: Sequence[str], train: Sequence[str]) -> None:
        known = [*map(_words, judging)]
        shown = [*map(_words, train)]
        rows = [*known, *shown]
        counts = Counter(word for row in rows for word in row)
        most = math.log(1 + len(rows)) + 1
        self._weight = {word: most - math.log(count) for word, count in counts.items()} | {"": most}
        self._rows = [row for row in known if len(row) >= FEW_WORDS]
        self._by_word: dict[str, list[int]] = defaultdict(list)
        for number, row in enumerate(self._rows):
            for word in row:
                self._by_word[word].append(number)
        ranked = sorted(
            shown, key=lambda row: sha256(" ".join(sorted(row)).encode(errors="replace")).digest()
        )
        self._bound = self._usual(ranked[:SAMPLE])

    def holds(self, text: str) -> bool:
        words = _words(text)
        return len(words) >= FEW_WORDS and self._nearest(words, self._bound) >= self._bound

    def _usual(self, shown: Sequence[frozenset[str]]) -> float:
        nearest = sorted(self._nearest(words, LEAST) for words in shown if len(words) >= FEW_WORDS)
        if not nearest:
            return LEAST
        place = min(len(nearest) - 1, math.ceil(USUAL * len(nearest)) - 1)
        # a training row as near as the bound is usual, so the bound lies above it
        return min(MOST, max(LEAST, math.nextafter(nearest[place], 1.0)))

    def _nearest(self, words: frozenset[str], least: float) -> float:
        """Return the largest share of common words; one below `least` may be returned as 0."""
        total = self._sum(words)
        found = {number for word in self._rarest(words, least) for number in self._by_word[word]}
        shares = (self._share(words, total, self._rows[number]) for number in found)
        return max(shares, default=0.0)

    def _rarest(self, words: frozenset[str], least: float) -> Iterable[str]:
        """Yield the words of which a row with that much in common has one (prefix filtering)."""
        left = self._sum(words)
        must = least * left
        for word in sorted(words, key=lambda one: (-self._of(one), one)):
            if left < must:
                return
            if word in self._by_word:
                yield word
            left -= self._of(word)

    def _share(self, words: frozenset[str], total: float, row: frozenset[str]) -> float:
        common = self._sum(words & row)
        return common / (total + self._sum(row) - common)

    def _sum(self, words: Iterable[str]) -> float:
        # in one order: sums of floats depend on it, and sets have none
        return sum(map(self._of, sorted(words)))

    def _of(self, word: str) -> float:
        return self._weight.get(word, self._weight[""])


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(normalised(text)))


METHOD: Final = (
    "every row of train and validation with every row of the holdout: equal text after NFKC, case"
    " folding and collapsing white space; near from a Jaccard similarity of 5-character shingles of"
    " 0.8"
)
_OTHERS: Final = (Assignment.TRAIN, Assignment.VALIDATION)


@dataclass(slots=True)
class Shared:
    """Holdout rows whose text a file or column also puts into another split, before any check."""

    copies: dict[int, dict[Assignment, bool]] = field(default_factory=dict)
    """By holdout row: the splits that it is also in, and whether every copy there names another answer."""
    steering: set[int] = field(default_factory=set)
    """Training rows whose text also stands in validation."""

    def of_drawn(self, pool: Pool, division: Division) -> Shared:
        """Return the same without the rows of the file that the holdout did not take: they judge nothing."""
        kept = {
            row: splits
            for row, splits in self.copies.items()
            if division.drawn[row] == Assignment.HOLDOUT or not pool.alive[row]
        }
        return Shared(copies=kept, steering=self.steering)


def shared_texts(work: Preparation) -> Shared:
    """Count the holdout rows that stand in train or validation too, and write each pair down."""
    shared, pool = Shared(), work.pool
    if not pool.place:
        return shared
    for start, end in pool.copies:
        rows = [row for row in pool.order[start:end] if pool.alive[row]]
        steering = any(pool.place[row] == Assignment.VALIDATION for row in rows)
        if steering:
            shared.steering.update(row for row in rows if pool.place[row] == Assignment.TRAIN)
        others = [row for row in rows if pool.place[row] != Assignment.HOLDOUT]
        if not others:
            continue
        for row in rows:
            if pool.place[row] == Assignment.HOLDOUT:
                splits = shared.copies.setdefault(row, {})
                for place in _OTHERS:
                    if copies := [other for other in others if pool.place[other] == place]:
                        answers = {pool.answer[other] for other in copies}
                        splits[place] = pool.answer[row] not in answers
                for other in others:
                    _log(work, Match(row, other, 1.0, exact=True))
    return shared


def check_leakage(
    work: Preparation, division: Division, shared: Shared
) -> tuple[Firewall, list[Match]]:
    """Compare the splits; `drop` takes rows out of train and validation, never out of the holdout.

    Returns what was found, and each match by the rows of the pool: later steps may leave rows out (see `with_left`).
    Unless it is thorough, nothing is compared where no rows would be dropped.
    """
    pool, findings, drops = work.pool, work.findings, work.data.checks.leakage == "drop"
    shared = shared.of_drawn(pool, division)
    holdout = division.rows(pool, "holdout")
    others = division.rows(pool, "train") + division.rows(pool, "validation")
    compared = holdout if work.thorough or drops else ()
    texts = pool.input.of(compared)
    found = list(leaks(texts, enumerate(Texts(pool.input, others)))) if texts else []
    matches = [
        replace(match, holdout=holdout[match.holdout], other=others[match.other]) for match in found
    ]
    for match in matches:
        if not (match.exact and pool.place):  # those are written down already
            _log(work, match)
    ranked = sorted(matches, key=lambda one: (-one.similarity, pool.rank[one.other]))
    # A row may match several of the holdout; it is reported once, by the strongest match.
    strongest = {match.other: match for match in reversed(ranked)}
    # `shared` was counted before the checks; they may have dropped copies that are not compared here.
    exact, found_near = _counted(matches)
    found_exact = max(exact, len(shared.copies))
    train = division.rows(pool, "train") if shared.steering else ()
    steering = {row for row in train if row in shared.steering}
    # Rows that go for the holdout's sake are counted once.
    steering -= strongest.keys()
    count = len(strongest) + len(steering)
    if count or len(shared.copies):
        message = _message(
            shared, len(holdout), found_exact, found_near, len(steering), work.task.labels
        )
        examples = (_match_text(pool, one) for one in ranked if strongest[one.other] is one)
        work.report("leakage", count, message=message, examples=examples)
    if drops:
        findings.drop("near the holdout", division.leave_out(strongest, "leakage"))
        findings.drop("text of validation", division.leave_out(steering, "leakage"))
    firewall = Firewall(
        method=METHOD,
        similarity=SIMILAR,
        compared=len(others),
        found_exact=found_exact,
        found_near=found_near,
        removed=len(strongest) if drops else 0,
        left_exact=exact,
        left_near=found_near,
    )
    return firewall, matches


def with_left(firewall: Firewall, matches: Iterable[Match], division: Division) -> Firewall:
    """Return the proof with the holdout rows counted of which a match is still trained on."""
    left = [match for match in matches if division.places[match.other] != Assignment.NONE]
    exact, near = _counted(left)
    return replace(firewall, left_exact=exact, left_near=near)


def _counted(matches: Iterable[Match]) -> tuple[int, int]:
    counts = Counter(exact for _, exact in {(match.holdout, match.exact) for match in matches})
    return counts[True], counts[False]


def _log(work: Preparation, match: Match) -> None:
    pool = work.pool
    work.findings.row(
        "leakage",
        pool.origin[match.other],
        text=excerpt(pool.input[match.other]),
        answer=excerpt(pool.target[match.other]),
        holdout=pool.origin[match.holdout],
        holdout_answer=excerpt(pool.target[match.holdout]),
        similarity=round(match.similarity, 4),
    )


def _message(
    shared: Shared, holdout: int, exact: int, near: int, steering: int, labels: Sequence[str]
) -> str:
    parts = []
    if exact:
        what = "label" if labels else "answer"
        split = []
        for place in _OTHERS:
            copies = [splits[place] for splits in shared.copies.values() if place in splits]
            more = f" ({sum(copies):,} of them with another {what})" if any(copies) else ""
            split += [f"{len(copies):,} in {place.split}{more}"] if copies else []
        listed = f": {' and '.join(split)}" if split else ""
        stand = "stands" if exact == 1 else "stand"
        parts.append(
            f"{exact:,} of {holdout:,} holdout rows also {stand} in train or validation{listed}"
        )
    if near:
        like = f"{'is' if near == 1 else 'are'} nearly like a row of train or validation"
        parts.append(f"{near:,} of {holdout:,} holdout rows {like}")
    if steering:
        more = several(steering, "more row of train also stands", "more rows of train also stand")
        parts.append(f"{more} in validation")
    return "; ".join(parts)


def _match_text(pool: Pool, match: Match) -> Shown:
    answers = [pool.target[row] for row in (match.other, match.holdout)]
    differs = answers[0] != answers[1] and pool.labels(match.holdout)
    mine, its = [f" ({excerpt(answer)})" if differs else "" for answer in answers]
    same = "is the same text as" if match.exact else f"is {match.similarity:.0%} like"
    text = f"`{excerpt(pool.input[match.other])}`{mine}"
    shown = Quote(match.other, pool.origin[match.other], text)
    return shown, f" {same} {pool.origin[match.holdout]}{its} of the holdout"
