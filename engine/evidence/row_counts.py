"""What is counted of rows that a model answered, and how two such counts differ. No text of any row is among it."""

from __future__ import annotations

from engine.values import Number, Value


class RowCounts(Value):
    """Rows that a model answered, counted."""

    model: str
    """sha256 of the file that was asked, or the key of the weights."""
    temperature: Number
    """Of the probabilities; 1 where they are not calibrated."""
    abstain_below: Number | None
    rows: int
    """That were asked; blank ones are not."""
    abstained: int
    labels: tuple[tuple[str, int], ...]
    """How often each was the most probable answer, abstained or not; empty for kinds without labels."""
    confidence: tuple[int, ...]
    """Answers by probability, in bins of 0.05; all 0 where answers have none."""
    characters: tuple[int, ...]
    """Rows by the length of the question: below 2, 4, 8, … characters."""
    similarity: tuple[int, ...] = ()
    """Rows by how similar the nearest training row is, in bins of 0.05; empty where no training rows were at hand."""


class CountDifference(Value):
    """One thing in which two counts were compared."""

    what: str
    """`labels`, `confidence`, `characters`, `similarity` or `abstained`."""
    effect: Number
    """0 to 1: the share of rows that is elsewhere (labels, abstained), or the largest distance of cumulative shares."""
    p_value: Number
    p_adjusted: Number
    """After Holm's correction over all that was compared."""
    differs: bool
