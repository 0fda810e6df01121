"""Counting answered rows: labels, probabilities and lengths, and nothing that a text could be read from. Light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.evidence import RowCounts

CONFIDENCE_BINS: Final = 20
LENGTH_BINS: Final = 24
"""Lengths below 2, 4, … 2^24 characters."""


@dataclass(slots=True)
class RowCounter:
    """Rows in, counts out."""

    labels: Counter[str]
    rows: int = 0
    abstained: int = 0
    confidence: list[int] = field(default_factory=lambda: [0] * CONFIDENCE_BINS)
    characters: list[int] = field(default_factory=lambda: [0] * LENGTH_BINS)
    similarity: list[int] = field(default_factory=lambda: [0] * CONFIDENCE_BINS)

    @classmethod
    def of(cls, labels: Sequence[str]) -> RowCounter:
        """Begin with nothing."""
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
        """Return what was counted."""
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
