"""Whether what a stage left can be read back by this version: what others read of it, read once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.artifacts.results import read_json
from engine.errors import StoreError
from engine.evidence import (
    ExportedFile,
    checkpoint_from_json,
    comparison_from_json,
    curve_from_json,
    data_from_json,
    forgetting_from_json,
    rung_from_json,
    scores_from_json,
    seeds_from_json,
    sweep_from_json,
    training_from_json,
    verdict_from_json,
)
from engine.store import Artifact


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON data
    return value


def _each(parse: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda items: [parse(item) for item in items]


def _scores(found: Mapping[str, Any]) -> object:
    return [scores_from_json(scores) for scores in found.values() if scores]


def _verified(found: Mapping[str, Any]) -> object:
    verdict_from_json(found["verdict"])
    return [rung_from_json(rung) for rung in found.get("ladder", ())]


def _exported(item: Mapping[str, Any]) -> object:
    return ExportedFile(**item)


READ: Mapping[str, Mapping[str, Callable[[Any], object]]] = {
    "data": {"summary.json": data_from_json},
    "baseline": {"baselines.json": _plain, "svm_curve.json": curve_from_json},
    "compile": {"provenance.json": _plain},
    "sweep": {"sweep.json": sweep_from_json, "weights.json": _plain},
    "train": {"training.json": training_from_json},
    "evaluate": {
        "scores.json": _scores,
        "checkpoints.json": _each(checkpoint_from_json),
        "sampling.json": _plain,
    },
    "resample": {
        "curve.json": curve_from_json,
        "folds.json": lambda found: scores_from_json(found["folds"]),
    },
    "forgetting": {"forgetting.json": forgetting_from_json},
    "seeds": {"seeds.json": seeds_from_json},
    "gate": {"verdict.json": verdict_from_json, "comparisons.json": _each(comparison_from_json)},
    "merge": {"merge.json": _plain},
    "quantize": {"export.json": _each(_exported)},
    "verify": {"verify.json": _verified},
}
"""The JSON files of each stage that are read after it, and how; files that a stage may leave out included."""


def is_readable(stage: str, artifact: Artifact) -> bool:
    """Tell whether every JSON file that is there can be read back; what cannot is built again."""
    names = {entry.name for entry in artifact.files}
    try:
        for name, parse in READ.get(stage, {}).items():
            if name in names:
                parse(read_json(artifact, name))
    except (StoreError, OSError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return False
    return True
