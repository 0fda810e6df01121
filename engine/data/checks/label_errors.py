"""Likely label errors by confident learning (Northcutt, Jiang and Chuang 2021, JAIR 70).

Models that did not see a row say how likely each label is. A label's threshold is the mean of what the rows that carry
it get for it. A row is counted for the likeliest label whose threshold it reaches; where that is not its own, it stands
off the diagonal of the confident joint and is a suspect. Suspects are ranked by how much likelier the other label is
than the given one.

Added to the paper: the margin must be 0.8 at least, as a weak model has many honest doubts. With 5 % of the labels
flipped at random, precision and recall of the flipped rows: sms_spam 0.97 and 0.68, 20 classes of banking77 0.98 and
0.68, all 77 0.95 and 0.53, 28,614 sarcasm headlines (a hard set: its own labels are contradicted, too) 0.61 and 0.52.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from engine.data.examples.example import normalised
from engine.data.similarity.near import TextStore
from engine.values import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
LEAST: Final = 5
"""Rows of a label, below which nothing is reported about them."""
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
    import numpy as np  # heavy

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
