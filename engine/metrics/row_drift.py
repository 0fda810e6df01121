"""Whether rows differ from those of the holdout, by counts alone: permutation tests corrected after Holm, and sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.evidence import CountDifference, RowCounts
from engine.metrics.comparing import holm

CONFIDENCE_BINS: Final = 20
LENGTH_BINS: Final = 24
"""Lengths below 2, 4, … 2^24 characters."""


@dataclass(slots=True)
class RowCounter:
    labels: Counter[str]
    rows: int = 0
    abstained: int = 0
    confidence: list[int] = field(default_factory=lambda: [0] * CONFIDENCE_BINS)
    characters: list[int] = field(default_factory=lambda: [0] * LENGTH_BINS)
    similarity: list[int] = field(default_factory=lambda: [0] * CONFIDENCE_BINS)

    @classmethod
    def of(cls, labels: Sequence[str]) -> RowCounter:
        return cls(Counter(dict.fromkeys(labels, 0)))

    def add(
        self,
        text: str,
        label: str | None,
        probability: float | None,
        *,
        abstain_below: float | None,
        similarity: float | None = None,
    ) -> None:
        """Count a row that was asked; `label` is the most probable answer where the task has one label a row."""
        self.rows += 1
        self.characters[min(LENGTH_BINS - 1, len(text).bit_length())] += 1
        if probability is not None:
            self.confidence[_bin(probability)] += 1
        if similarity is not None:
            self.similarity[_bin(similarity)] += 1
        # what the task does not have would be a text of the model
        if label is not None and label in self.labels:
            self.labels[label] += 1
        self.abstained += abstain_below is not None and (probability or 0.0) < abstain_below

    def counts(self, *, model: str, temperature: float, abstain_below: float | None) -> RowCounts:
        return RowCounts(
            model=model,
            temperature=temperature,
            abstain_below=abstain_below,
            rows=self.rows,
            abstained=self.abstained,
            labels=tuple(self.labels.items()),
            confidence=tuple(self.confidence),
            characters=tuple(self.characters),
            similarity=tuple(self.similarity) if any(self.similarity) else (),
        )


def _bin(share: float) -> int:
    return min(CONFIDENCE_BINS - 1, int(share * CONFIDENCE_BINS))


DRAWS: Final = 4000
FEWEST: Final = 30
"""Rows on either side below which nothing is compared."""

_Counts = NDArray[Any]
_Distance = Callable[[_Counts, _Counts], _Counts]


def differences(
    reference: RowCounts, now: RowCounts, *, confidence: float = 0.95, seed: int = 0
) -> tuple[CountDifference, ...]:
    """Compare what was counted of new rows with what was counted of the holdout; both of one model."""
    labels = [dict(side.labels) for side in (reference, now)]
    names = [*dict.fromkeys((*labels[0], *labels[1]))]
    first, second = ([side.get(name, 0) for name in names] for side in labels)
    compared: list[tuple[str, Sequence[int], Sequence[int], _Distance]] = [
        ("labels", first, second, _elsewhere),
        ("confidence", reference.confidence, now.confidence, _apart),
        ("characters", reference.characters, now.characters, _apart),
        ("similarity", reference.similarity, now.similarity, _apart),
    ]
    # by another threshold others abstain
    if reference.abstain_below is not None and reference.abstain_below == now.abstain_below:
        first, second = ([side.abstained, side.rows - side.abstained] for side in (reference, now))
        compared.append(("abstained", first, second, _elsewhere))
    found = []
    for what, one, two, distance in compared:
        before, after = (np.array(side, dtype=np.int64) for side in (one, two))
        if not before.sum() or not after.sum():
            continue
        random, whole = np.random.default_rng(seed), before + after
        seen = float(distance(before, after))
        drawn = random.multivariate_hypergeometric(
            whole, int(before.sum()), size=DRAWS, method="marginals"
        )
        # How often as many rows drawn from both together are as far; what is equal in real numbers is off by a
        # rounding in floats.
        as_far = int((distance(drawn, whole - drawn) >= seen - 1e-12).sum())
        found.append((what, seen, (1 + as_far) / (1 + DRAWS)))
    adjusted = holm([p_value for _, _, p_value in found])
    return tuple(
        CountDifference(
            what=what,
            effect=effect,
            p_value=p_value,
            p_adjusted=p_adjusted,
            differs=p_adjusted <= 1 - confidence,
        )
        for (what, effect, p_value), p_adjusted in zip(found, adjusted, strict=True)
    )


def _shares(counts: _Counts) -> _Counts:
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True))


def _elsewhere(first: _Counts, second: _Counts) -> _Counts:
    return np.asarray(np.abs(_shares(first) - _shares(second)).sum(axis=-1) / 2)


def _apart(first: _Counts, second: _Counts) -> _Counts:
    gaps = np.cumsum(_shares(first) - _shares(second), axis=-1)
    return np.asarray(np.abs(gaps).max(axis=-1))
