"""Measurements of trainings on this machine, by `recipe plan --probe` or by a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.backends.usage import Usage
from engine.environment import Device, version_of
from engine.files.reading import read_json
from engine.recipe.methods import OPTIONS, method_slice, unset_options
from engine.recipe.model import Recipe
from engine.store import make_key
from engine.store.records import write_text
from engine.values import Value, from_json, to_json

FOLDER = "measured"
SCHEMA = "measured.v1"


class Measurement(Value):
    by: str
    """`probe` or `run`."""
    created: str
    usage: Usage
    work: Mapping[str, Any]
    operations: float = 0.0
    """Operations of the steps after the first, as in `engine.estimate.cost`; 0 if unknown."""
    weights: int = 0


def work_of(
    recipe: Recipe, device: Device, *, base_model: Mapping[str, Any], rendered: str
) -> dict[str, Any]:
    """Return everything that the cost of a step depends on; `rendered` is the key of the rows as text."""
    method = recipe.method
    # Rates and noise cost nothing; options at their defaults are left out, so that earlier measurements are found.
    costly = set(OPTIONS) - {"loraplus_lr_ratio", "rslora", *unset_options(method)}
    return {
        **{key: value for key, value in method_slice(method).items() if key in costly},
        **machine_of(recipe, device),
        "base_model": dict(base_model),
        "rendered": rendered,
        "rank": method.rank,
        "target_modules": method.target_modules,
        # With any dropout, each adapter keeps its own copy of its input.
        "dropout": method.dropout > 0,
        "batch_size": method.batch_size,
        "micro_batch_size": method.micro_batch_size,
        "max_length": method.max_length,
        "gradient_checkpointing": method.gradient_checkpointing,
        "overrides": [list(pair) for pair in recipe.backend.overrides],
        "validation": recipe.splits.validation != 0,
    }


def machine_of(recipe: Recipe, device: Device) -> dict[str, Any]:
    return {
        "device": device.name,
        "kind": device.kind,
        "cores": device.cores,
        "memory_bytes": device.memory_bytes,
        "backend": recipe.backend.name,
        "versions": {
            tool: version_of(tool) for tool in (recipe.backend.name, "torch", "transformers")
        },
        "method": recipe.method.kind,
        "precision": device.precision(recipe.backend.precision),
    }


def keep(root: Path, measured: Measurement) -> None:
    path = root / FOLDER / f"{make_key(measured.work).digest[:32]}.json"
    text = json.dumps({"schema": SCHEMA, **to_json(measured)}, indent=1, sort_keys=True)
    write_text(path, text + "\n", below=root)


def find(root: Path, work: Mapping[str, Any]) -> Measurement | None:
    return _read(root / FOLDER / f"{make_key(work).digest[:32]}.json")


def find_like(root: Path, machine: Mapping[str, Any]) -> Measurement | None:
    """Return the newest measurement of this machine, backend, method and precision, whatever the model."""
    same = [
        one
        for one in map(_read, (root / FOLDER).glob("*.json"))
        if one and one.operations and all(one.work.get(key) == machine[key] for key in machine)
    ]
    return max(same, key=lambda one: one.created, default=None)


def _read(path: Path) -> Measurement | None:
    try:
        # Links are not followed: a store in an untrusted folder could lead elsewhere.
        fields = read_json(path, follow=False)
        if fields.pop("schema") != SCHEMA:
            return None
        return from_json(Measurement, fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
