"""The second part of a lock: what an accepted run had, used and left, so that others can compare.

Plain JSON in a fixed order, one fact a line; `schemas/lock.v1.schema.json` describes it. Written only
by a run that was accepted; it stays until another accepted run takes its place on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

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
    """What the model answered to each row of the holdout, in four bytes a row: see `engine.stages.answered`."""
    predictions: Facts
    """sha256 of each file of predictions."""
    adapter: Facts
    """sha256 of each file that was trained: the adapter's, or the whole model's."""
    merged: Facts
    files: Facts
    """sha256 of each exported file."""


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "Facts": dict,
    "tuple[Facts, ...]": list,
    "int": int,
    "str": str,
    "str | None": (str, type(None)),
}


def accepted_from_json(data: Any) -> Accepted:  # noqa: ANN401 - JSON data
    """Return the part as a lock holds it; KeyError, TypeError or ValueError where it is none."""
    if not isinstance(data, dict):
        message = "`accepted` is no object"
        raise TypeError(message)
    found: dict[str, Any] = {}
    for one in fields(Accepted):
        value = data[one.name]
        if isinstance(value, bool) or not isinstance(value, _KINDS[str(one.type)]):
            message = f"`accepted.{one.name}` is not what the engine writes"
            raise TypeError(message)
        found[one.name] = tuple(value) if isinstance(value, list) else value
    if unknown := set(data) - set(found):
        message = f"`accepted.{min(unknown)}` is unknown"
        raise ValueError(message)
    _check_inside(found)
    return Accepted(**found)


def _check_inside(found: Mapping[str, Any]) -> None:
    """Refuse parts without the facts that comparing reads."""
    wanted = {
        "recipe": ("digest", "sections", "seed"),
        "base_model": ("reference", "files"),
        "answers": ("way", "rows", "entries"),
    }
    for name, keys in wanted.items():
        for key in keys:
            found[name][key]
    for source in found["sources"]:
        source["name"], source["sha256"]
    for metric in found["metrics"].values():
        metric["value"], metric["low"], metric["high"]
    for seed in found["seeds"]:
        seed["seed"], seed["metrics"], seed["agreement"]
    for spread in found["spread"].values():
        spread["mean"], spread["deviation"]
