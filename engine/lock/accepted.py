"""The second part of a lock: what an accepted run had, used and left, so that others can compare.

Plain JSON in a fixed order, one fact a line; `schemas/lock.v1.schema.json` describes it. Written only
by a run that was accepted; it stays until another accepted run takes its place on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.store.typed import (
    Each,
    Fields,
    ListOf,
    Type,
    brief_text,
    is_count,
    is_number,
    is_number_or_none,
    is_scalar,
    is_text,
    is_text_or_none,
    is_time,
    mistyped,
)

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What one accepted run proves, by value and by digest. Fields stand in the order of the file."""

    recipe: Facts
    """`digest` of what the resolved recipe asks for, `sections` by name, and the `seed` of the training."""
    finished: str
    """ISO 8601, UTC: what was built before is not a reproduction."""
    sources: tuple[Facts, ...]
    """`name`, `sha256` of the bytes that were read, and what pins them, in recipe order."""
    rows: int
    """That were read."""
    fingerprints: str | None
    """Base64 of four bytes for each of them, sorted; None for too many rows."""
    splits: Facts
    """Digest of each split's rows, by name."""
    base_model: Facts
    """What the recipe calls it, and the sha256 of each of its `files`."""
    config: str
    """sha256 of the compiled config."""
    precision: str
    threads: int
    hardware: Facts
    versions: Facts
    verdicts: Facts
    """Of the gates, by stage."""
    metrics: Facts
    """On the holdout, before any merge: `value`, `low`, `high` and `n` by name."""
    seeds: tuple[Facts, ...]
    """The further seeds of `method.seeds`: `seed`, `metrics` and `agreement` with the first."""
    spread: Facts
    """`mean` and `deviation` over all seeds, by metric: the noise band."""
    answers: Facts
    """What the model answered to each row of the holdout, in four bytes a row: see `engine.lock.answer_hashes`."""
    predictions: Facts
    """sha256 of each file of predictions."""
    adapter: Facts
    """sha256 of each file that was trained: the adapter's, or the whole model's."""
    merged: Facts
    files: Facts
    """sha256 of each exported file."""


_DIGESTS = Each(is_text)
_NUMBERS = Each(is_number_or_none)
_TYPES: Mapping[str, Type] = {
    "recipe": Fields({"digest": is_text, "sections": Each(is_text), "seed": is_count}),
    "finished": is_time,
    "sources": ListOf(Fields({"name": is_text, "sha256": is_text_or_none})),
    "rows": is_count,
    "fingerprints": is_text_or_none,
    "splits": _DIGESTS,
    "base_model": Fields({"reference": Each(is_scalar), "files": _DIGESTS}),
    "config": is_text,
    "precision": is_text,
    "threads": is_count,
    "hardware": Each(is_scalar),
    "versions": Each(is_text),
    "verdicts": Each(is_text),
    "metrics": Each(
        Fields(
            {
                "value": is_number_or_none,
                "low": is_number_or_none,
                "high": is_number_or_none,
                "n": is_count,
            }
        )
    ),
    "seeds": ListOf(
        Fields({"seed": is_count, "metrics": _NUMBERS, "agreement": is_number_or_none})
    ),
    "spread": Each(Fields({"mean": is_number, "deviation": is_number})),
    "answers": Fields({"way": is_text, "rows": is_count, "entries": is_text}),
    "predictions": _DIGESTS,
    "adapter": _DIGESTS,
    "merged": _DIGESTS,
    "files": _DIGESTS,
}


def accepted_from_json(data: Any) -> Accepted:  # noqa: ANN401 - JSON data
    """Return the part as a lock holds it. ValueError that names the first field which is not what the engine writes."""
    wrong = next(mistyped(data, Fields(_TYPES), "accepted"), None)
    if wrong is not None:
        raise ValueError(wrong)
    if unknown := set(data) - set(_TYPES):
        message = f"`accepted.{brief_text(min(unknown))}` is unknown"
        raise ValueError(message)
    found: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
    }
    return Accepted(**found)
