"""Labels that stand in another row than the texts that they are of: one row too late, or too early.

A file that was sorted, cut or filled in one column alone has such labels. No model learns them, but a model learns the
label of the neighbouring row from each text. That is looked for where a row's own label cannot be learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from engine.data.checks.label_errors import judge_unseen, key_of
from engine.values import Value

MOST: Final = 2_000
"""Rows that are looked at: the first ones, as they stand."""
LEARNED: Final = 0.1
"""Share of rows by which answers must beat the most frequent label for labels that are learned as they stand."""
GAIN: Final = 0.15
"""Share of rows by which the neighbour's label must be answered better than the row's own, and than that label."""
CHANCE: Final = 1e-6
"""Of so many right answers at least, below which chance is not the cause."""


class MovedLabels(Value):
    """Labels of neighbouring rows are learned, and not the rows' own."""

    rows_on: int
    """By how many rows they stand too late; below 0 too early."""
    own: float
    """Share of rows whose own label is answered."""
    moved: float
    """The same of the neighbour's."""


def find_moved_labels(texts: Sequence[str], labels: Sequence[str]) -> MovedLabels | None:
    """Return how far labels have moved against their texts, both in the order of their file; None for not at all.

    Needs scikit-learn.
    """
    texts, labels = texts[:MOST], labels[:MOST]
    own, usual = _answered(texts, labels)
    if own >= usual + LEARNED:
        return None
    for rows_on in (1, -1):
        size = len(texts) - 1
        early, late = slice(0, size), slice(1, size + 1)
        of_texts, of_labels = (early, late) if rows_on > 0 else (late, early)
        moved, usual = _answered(texts[of_texts], labels[of_labels])
        floor = max(own, usual)
        if moved >= floor + GAIN and _chance(moved, floor, size) < CHANCE:
            return MovedLabels(rows_on=rows_on, own=own, moved=moved)
    return None


def _answered(texts: Sequence[str], labels: Sequence[str]) -> tuple[float, float]:
    """Return which share of labels models answer that did not see the row, and the share of the most frequent label."""
    unseen = judge_unseen(texts, labels, {row: key_of(text, 0) for row, text in enumerate(texts)})
    if unseen is None:
        return 1.0, 1.0
    given = unseen.given
    right = sum(int(row.argmax()) == own for row, own in zip(unseen.likely, given, strict=True))
    return right / len(given), max(Counter(given).values()) / len(given)


def _chance(share: float, floor: float, rows: int) -> float:
    """Return how likely so many right answers are where each is right with the probability `floor`."""
    from scipy.stats import binom  # takes time to import

    return float(binom.sf(round(share * rows) - 1, rows, floor))
