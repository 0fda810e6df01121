"""Checks that guess: texts that name their own label, labels that models contradict.

Likely label errors are found by confident learning (Northcutt, Jiang and Chuang 2021, JAIR 70).

Models that did not see a row say how likely each label is. A label's threshold is the mean of what the rows that carry
it get for it. A row is counted for the likeliest label whose threshold it reaches; where that is not its own, it stands
off the diagonal of the confident joint and is a suspect. Suspects are ranked by how much likelier the other label is
than the given one.

Added to the paper: the margin must be 0.8 at least, as a weak model has many honest doubts. With 5 % of the labels
flipped at random, precision and recall of the flipped rows: sms_spam 0.97 and 0.68, 20 classes of banking77 0.98 and
0.68, all 77 0.95 and 0.53, 28,614 sarcasm headlines (a hard set: its own labels are contradicted, too) 0.61 and 0.52.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.data.checks.findings import ByRow, Findings, Preparation, quote
from engine.data.examples.example import normalised
from engine.data.reading.row import excerpt, several
from engine.data.row_index import Assignment, Texts
from engine.data.similarity.near import TextStore
from engine.data.splitting.splits import Division
from engine.recipe.text.words import WORD
from engine.values import Value

PRECISION: Final = 0.95
"""Of the rows that hold the mark, the share that has its label."""
SHARE: Final = 0.05
"""Of the label's rows, the share that holds the mark."""
LEAST: Final = 5
"""Rows that hold a mark, or of a label, below which it may be chance."""
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
        if any(map(among.__contains__, names)):
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
    texts = Texts(pool.input, rows)
    labelled = zip(texts, map(pool.labels, rows), strict=True)
    found = find_label_marks(labelled, work.task.labels)
    if not found:
        return
    find, giving = finder(found), []
    labels = len({one.label for one in found})
    for row, text in zip(rows, texts, strict=True):
        given = find(text)
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


MOST: Final = 2_000
"""Rows that are looked at: the first ones, as they stand."""
LEARNED: Final = 0.1
"""Share of rows by which answers must beat the most frequent label for labels that are learned as they stand."""
GAIN: Final = 0.15
"""Share of rows by which the neighbour's label must be answered better than the row's own, and than that label."""
CHANCE: Final = 1e-6
"""Of so many right answers at least, below which chance is not the cause."""


class MovedLabels(Value):
    rows_on: int
    """By how many rows they stand too late; below 0 too early."""
    own: float
    """Share of rows whose own label is answered."""
    moved: float


def find_moved_labels(texts: Sequence[str], labels: Sequence[str]) -> MovedLabels | None:
    """Return how far labels have moved against their texts, in file order; None for not at all. Needs scikit-learn."""
    texts, labels = texts[:MOST], labels[:MOST]
    own, usual = _answered(texts, labels)
    if own >= usual + LEARNED:
        return None
    from scipy.stats import binom  # takes time to import

    for rows_on in (1, -1):
        size = len(texts) - 1
        early, late = slice(0, size), slice(1, size + 1)
        of_texts, of_labels = (early, late) if rows_on > 0 else (late, early)
        moved, usual = _answered(texts[of_texts], labels[of_labels])
        floor = max(own, usual)
        # How likely so many right answers are where each is right with the probability `floor`.
        chance = float(binom.sf(round(moved * size) - 1, size, floor))
        if moved >= floor + GAIN and chance < CHANCE:
            return MovedLabels(rows_on=rows_on, own=own, moved=moved)
    return None


def _answered(texts: Sequence[str], labels: Sequence[str]) -> tuple[float, float]:
    unseen = judge_unseen(texts, labels, {row: key_of(text, 0) for row, text in enumerate(texts)})
    if unseen is None:
        return 1.0, 1.0
    given = unseen.given
    right = sum(int(row.argmax()) == own for row, own in zip(unseen.likely, given, strict=True))
    return right / len(given), max(Counter(given).values()) / len(given)


FOLDS: Final = 5
MARGIN: Final = 0.8
LARGEST: Final = 50_000
"""Rows that are looked at; of more, a sample."""
MOST_FITTED: Final = 1_200_000
"""Rows times labels that are fitted; with 151 labels, 7,947 rows are looked at."""


class Suspect(Value):
    """A row whose label the others contradict."""

    index: int
    given: str
    suggested: str
    confidence: float
    """How much likelier the suggested label is than the given one: 0.8 to 1."""


def find_label_errors(texts: TextStore, labels: Sequence[str], *, seed: int) -> list[Suspect]:
    """Return the suspects, the surest first; the same rows give the same ones in any order.

    Rows of labels with fewer than 5 different texts are left out. Of more rows than `most_rows` a
    sample is looked at, drawn by content (`looked_at` says so); only its texts are kept. Needs
    scikit-learn. Nothing is found where fewer than two labels are left, or the texts have no words.
    """
    keys = _drawn(texts, labels, seed)
    unseen = judge_unseen(texts, labels, keys)
    if unseen is None:
        return []
    rows, names, given = unseen.rows, unseen.names, unseen.given
    found = [
        Suspect(
            index=rows[at], given=names[given[at]], suggested=names[other], confidence=round(by, 4)
        )
        for at, other, by in _off_diagonal(unseen.likely, given)
    ]
    return sorted(found, key=lambda one: (-one.confidence, keys[one.index], one.index))


class Unseen(Value):
    rows: list[int]
    names: list[str]
    given: list[int]
    """Of each row, the number of its label in `names`."""
    likely: NDArray[np.float64]
    """Rows x names."""


def judge_unseen(
    texts: TextStore, labels: Sequence[str], keys: Mapping[int, bytes]
) -> Unseen | None:
    """Judge the rows that have a key, in its order; None without two labels or without words. Needs scikit-learn."""
    texts_of: dict[str, set[bytes]] = defaultdict(set)
    for row, key in keys.items():
        texts_of[labels[row]].add(key)
    rows = [row for row in keys if len(texts_of[labels[row]]) >= LEAST]
    names = sorted({labels[row] for row in rows})
    if len(names) < 2:  # nothing to confuse
        return None
    from engine.runtime.text.tfidf import out_of_sample  # scikit-learn

    number = {name: at for at, name in enumerate(names)}
    given = [number[labels[row]] for row in rows]
    folds = _folds([keys[row] for row in rows], given)
    try:
        likely = out_of_sample([texts[row] for row in rows], given, folds)
    except ValueError as error:
        # scikit-learn has no exception type of its own for texts without a single word.
        if "empty vocabulary" in str(error):
            return None
        raise
    return Unseen(rows=rows, names=names, given=given, likely=likely)


def most_rows(labels: int) -> int:
    return min(LARGEST, MOST_FITTED // max(labels, 1))


def looked_at(rows: int, labels: int) -> str:
    """Return what a finding adds when only a sample was looked at; empty otherwise."""
    most = most_rows(labels)
    return f" (a sample of {most:,} of {rows:,} rows was looked at)" if rows > most else ""


def key_of(text: str, seed: int) -> bytes:
    """Return the key of a text: of the normalised one, so that copies get one key, and one fold (`_folds`)."""
    content = f"{seed}\0{normalised(text)}".encode(errors="surrogatepass")
    return hashlib.sha256(content).digest()[:16]


def _drawn(texts: Iterable[str], labels: Sequence[str], seed: int) -> dict[int, bytes]:
    """Return the rows that may be looked at with their keys, in the order of the keys."""
    keyed = ((key_of(text, seed), labels[row], row) for row, text in enumerate(texts))
    return {row: key for key, _, row in nsmallest(most_rows(len(set(labels))), keyed)}


def _folds(keys: Sequence[bytes], labels: Sequence[int]) -> list[int]:
    """Return the part of each row: equal texts are in one (that of the first label), labels in all in equal shares."""
    part: dict[bytes, int] = {}
    seen: Counter[int] = Counter()
    for key, label in zip(keys, labels, strict=True):
        # A copy in another fold would show the model the row that it is asked about.
        if key not in part:
            part[key] = seen[label] % FOLDS
            seen[label] += 1
    return [part[key] for key in keys]


def _off_diagonal(
    likely: NDArray[np.float64], labels: Sequence[int]
) -> list[tuple[int, int, float]]:
    """Return (row, other label, margin) of the rows off the diagonal of the confident joint."""
    given = np.asarray(labels)
    own = likely[np.arange(len(given)), given]
    counts = np.bincount(given, minlength=likely.shape[1])
    thresholds = np.bincount(given, weights=own, minlength=likely.shape[1]) / counts
    # Below every probability, so that a label under its threshold never wins the argmax.
    confident = np.where(likely >= thresholds, likely, -1.0)
    other = confident.argmax(axis=1)
    margin = likely[np.arange(len(given)), other] - own
    suspects = np.flatnonzero((confident.max(axis=1) >= 0) & (other != given) & (margin >= MARGIN))
    return [(int(row), int(other[row]), float(margin[row])) for row in suspects]
