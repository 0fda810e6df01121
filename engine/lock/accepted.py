"""The second part of a lock: what an accepted run had, used and left, so that others can compare.

Plain JSON in a fixed order, one fact a line; `schemas/lock.v1.schema.json` describes it. Written only
by a run that was accepted; it stays until another accepted run takes its place on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from engine.files.typed_json import Count, Scalar, Time

Digests = Mapping[str, str]


class RecipeFacts(TypedDict):
    """What the resolved recipe asked for."""

    digest: str
    sections: Digests
    seed: Count
    """Of the training."""


class SourceFacts(TypedDict):
    """One source; what pins it stands beside these, by keys of its own."""

    name: str
    sha256: str | None
    """Of the bytes that were read."""


class ModelFacts(TypedDict):
    """The base model."""

    reference: Mapping[str, Scalar]
    """What the recipe calls it."""
    files: Digests


class MetricFacts(TypedDict):
    """One metric on the holdout, before any merge."""

    value: float | None
    low: float | None
    high: float | None
    n: Count


class SeedFacts(TypedDict):
    """The training with another seed, on the same holdout."""

    seed: Count
    metrics: Mapping[str, float | None]
    agreement: float | None
    """With the answers of the first seed's model."""


class SpreadFacts(TypedDict):
    """One metric over all seeds: the noise band."""

    mean: float
    deviation: float


class AnswerFacts(TypedDict):
    """What the model answered to each row of the holdout, in four bytes a row: see `engine.lock.answer_hashes`."""

    way: str
    rows: Count
    entries: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What one accepted run proves, by value and by digest. Fields stand in the order of the file."""

    recipe: RecipeFacts
    finished: Time
    """UTC: what was built before is not a reproduction."""
    sources: tuple[SourceFacts, ...]
    """In recipe order."""
    rows: Count
    """That were read."""
    fingerprints: str | None
    """Base64 of four bytes for each of them, sorted; None for too many rows."""
    splits: Digests
    """Of each split's rows, by name."""
    base_model: ModelFacts
    config: str
    """sha256 of the compiled config."""
    precision: str
    threads: Count
    hardware: Mapping[str, Scalar]
    versions: Mapping[str, str]
    verdicts: Mapping[str, str]
    """Of the gates, by stage."""
    metrics: Mapping[str, MetricFacts]
    seeds: tuple[SeedFacts, ...]
    """The further seeds of `method.seeds`."""
    spread: Mapping[str, SpreadFacts]
    answers: AnswerFacts
    predictions: Digests
    """sha256 of each file of predictions."""
    adapter: Digests
    """sha256 of each file that was trained: the adapter's, or the whole model's."""
    merged: Digests
    files: Digests
    """sha256 of each exported file."""
