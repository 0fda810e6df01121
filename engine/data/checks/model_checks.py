"""Checks that guess: labels that models contradict, texts that name their own label."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Final

from engine.data.checks.findings import ByRow, Findings, Preparation, quote
from engine.data.checks.label_errors import MOST, find_label_errors, find_moved_labels, looked_at
from engine.data.reading.row import excerpt, several
from engine.data.row_index import Assignment, Texts
from engine.data.splitting.splits import Division
from engine.recipe.text.words import WORD
from engine.values import Value

PRECISION: Final = 0.95
"""Of the rows that hold the mark, the share that has its label."""
SHARE: Final = 0.05
"""Of the label's rows, the share that holds the mark."""
LEAST: Final = 5
"""Rows that hold a mark, below which it may be chance."""
NAMED: Final = re.compile(
    r"\b(?:labels?|class|category|intent|sentiment|emotion|topic|tag|type|target|answer|rating)"
    r"\s*[:=]\s*[\"']?\Z"
)
FEW: Final = 16
"""Names that are looked for one by one, which takes less than finding a text's words."""
FASTTEXT: Final = "__label__"
BRACKETS: Final = ("[]", "<>", "{}")
BARE: Final = ("its first word", "its last word")
TOPICAL: Final = 0.5
"""A bare name counts where it is the first or last word in so many of the label's rows: a topic's
name stands there by chance, a joined column in every row."""


class LabelMark(Value):
    label: str
    mark: str
    """As it stands in the text: `[spam]`; `spam as its last word` for a bare name."""
    rows: int
    """Rows of the label that hold it."""
    share: float
    precision: float

    def message(self) -> str:
        return (
            f"`{self.mark}` stands in {self.rows:,} rows of `{self.label}` ({self.share:.1%} of"
            f" them); {self.precision:.1%} of the rows that hold it have that label"
        )


def _mark_finder(labels: Iterable[str]) -> Callable[[str], Sequence[tuple[str, str]]]:
    """Return what returns (label, mark) for every mark in a text."""
    names: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
    for label in labels:
        if words := tuple(WORD.findall(label.casefold())):
            names[words[0]].append((words, label))

    def marks(text: str) -> Sequence[tuple[str, str]]:
        folded = text.casefold()
        # Most texts name no label; this spares them the slow search with positions.
        among = folded if len(names) <= FEW else frozenset(WORD.findall(folded))
        for word in names:
            if word in among:
                return list(in_words(folded, list(WORD.finditer(folded))))
        return ()

    def in_words(folded: str, words: Sequence[re.Match[str]]) -> Iterator[tuple[str, str]]:
        for at, word in enumerate(words):
            for name, label in names.get(word.group(), ()):
                span = words[at : at + len(name)]
                if tuple(match.group() for match in span) == name:
                    ends = {0: "first", len(words) - len(name): "last"}
                    # At an end of a text that has other words, too.
                    place = ends.get(at, "") if len(name) < len(words) else ""
                    yield from _marks(folded, span[0].start(), span[-1].end(), label, place)

    return marks


def find_label_marks(
    rows: Iterable[tuple[str, str | Sequence[str]]], labels: Sequence[str]
) -> list[LabelMark]:
    """Return the marks that give labels away in (text, label or labels), those of the most rows first.

    A mark counts with at least 5 rows, 5 % of its label's rows and a precision of 95 %. Rows are streamed; memory grows
    with the labels.
    """
    marks, of_label = _mark_finder(labels), Counter[str]()
    held: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for text, given in rows:
        own = (given,) if isinstance(given, str) else tuple(given)
        for label in own:
            of_label[label] += 1
        for found in set(marks(text)):
            # A row without labels that holds the mark speaks against its precision and must be counted.
            held[found].update(own or ("",))
    giving = []
    for (label, mark), counts in held.items():
        count = counts[label]
        share, precision = count / max(of_label[label], 1), count / max(counts.total(), 1)
        least = TOPICAL if mark.endswith(BARE) else SHARE
        if count >= LEAST and share >= least and precision >= PRECISION:
            giving.append(
                LabelMark(label=label, mark=mark, rows=count, share=share, precision=precision)
            )
    return sorted(giving, key=lambda one: (-one.rows, one.label, one.mark))


def finder(found: Sequence[LabelMark]) -> Callable[[str], LabelMark | None]:
    """Return what says which of the marks found a text holds, if any: rows to show or drop."""
    known = {(one.label, one.mark): one for one in found}
    marks = _mark_finder(sorted({one.label for one in found}))
    return lambda text: next((known[mark] for mark in marks(text) if mark in known), None)


def _marks(text: str, start: int, end: int, label: str, place: str) -> Iterator[tuple[str, str]]:
    # A short window: NAMED searches it, and over all text before each name the cost would be quadratic.
    before, name, after = text[max(0, start - 30) : start], text[start:end], text[end : end + 1]
    if before.endswith(FASTTEXT):
        yield label, f"{FASTTEXT}{name}"
    elif before[-1:] + after in BRACKETS:
        yield label, f"{before[-1]}{name}{after}"
    elif before.endswith("#"):
        yield label, f"#{name}"
    elif named := NAMED.search(before):
        yield label, f"{named.group().strip()} {name}"
    elif "_" in name:
        yield label, name
    elif place:
        yield label, f"{name} as its {place} word"


def find_doubted(work: Preparation) -> dict[int, str]:
    pool = work.pool
    rows = pool.living()
    labels = [pool.labels(row)[0] for row in rows]
    suspects = find_label_errors(Texts(pool.input, rows), labels, seed=work.splits.seed)
    doubted = {
        rows[one.index]: f"more likely `{one.suggested}` ({one.confidence:.0%})" for one in suspects
    }
    _report_moved(work, rows)
    for row, what in doubted.items():
        text = excerpt(pool.input[row])
        work.findings.row("label_errors", pool.origin[row], text=text, what=what)
    if doubted:
        message = several(len(doubted), "row has", "rows have")
        message += " a label that cross-validated models contradict"
        message += looked_at(len(rows), len(set(labels)))
        examples = ByRow(
            rows=list(doubted), show=lambda row: (quote(pool, row), f" is {doubted[row]}")
        )
        # Left out after the division, by `drop_doubted`.
        work.report("label_errors", len(doubted), message=message, examples=examples)
    return doubted


def _report_moved(work: Preparation, rows: Sequence[int]) -> None:
    pool = work.pool
    read = nsmallest(MOST, rows)  # they are numbered as they were read
    found = find_moved_labels(
        [pool.input[row] for row in read], [pool.labels(row)[0] for row in read]
    )
    if found is None:
        return
    where = "row after its text" if found.rows_on > 0 else "row before its text"
    message = (
        f"labels seem to stand one row off: from the texts models learn the label of the {where} ({found.moved:.0%}"
        f" right), and not that of the text's own row ({found.own:.0%})"
    )
    work.findings.report("label_errors", work.data.checks.label_errors, len(rows), message=message)


def drop_doubted(division: Division, doubted: Iterable[int], findings: Findings) -> None:
    """Take doubted rows out of train and validation, never out of the holdout: without hard rows it would flatter."""
    out = [
        row for row in doubted if division.places[row] in (Assignment.TRAIN, Assignment.VALIDATION)
    ]
    findings.drop("likely label error", division.leave_out(out, "label_errors"))


def check_label_marks(work: Preparation) -> None:
    """Find words of the label, or constant markers, that give the label away in the text."""
    pool = work.pool
    rows = pool.living()
    texts = ((pool.input[row], pool.labels(row)) for row in rows)
    found = find_label_marks(texts, work.task.labels)
    if not found:
        return
    find, giving = finder(found), []
    labels = len({one.label for one in found})
    for row in rows:
        given = find(pool.input[row])
        # A mark of another label does not give this row's label away.
        if given is not None and given.label in pool.labels(row):
            giving.append(row)
            work.findings.row("label_in_input", pool.origin[row], what=given.mark)
    work.report(
        "label_in_input",
        len(giving),
        message=f"{several(labels, 'label is', 'labels are')} given away by the text itself",
        examples=(one.message() for one in found),
        reason="label given away",
        rows=giving,
    )
