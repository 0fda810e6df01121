"""What the other stages leave on the disk, as computed, and how long they took when they last ran here."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from engine.errors import StoreError
from engine.estimate.shape import ModelShape
from engine.files.reading import parse_json
from engine.recipe.model import Recipe
from engine.store.runs import Runs, read_file

BITS = {
    "Q2_K": 3.0, "Q3_K_S": 3.5, "Q3_K_M": 3.9, "Q3_K_L": 4.3, "Q4_0": 4.55, "Q4_1": 5.0,
    "Q4_K_S": 4.6, "Q4_K_M": 4.85, "Q5_0": 5.55, "Q5_1": 6.0, "Q5_K_S": 5.55, "Q5_K_M": 5.7,
    "Q6_K": 6.6, "Q8_0": 8.5, "F16": 16.0, "BF16": 16.0,
}  # fmt: skip
"""Bits a weight of whole files, about; llama.cpp mixes formats within one file."""
FALLBACK = {"Q2_K": 4.5, "Q3": 4.5, "Q4_K": 6.2, "Q5_K": 6.8, "Q6_K": 8.5}
"""Bits where rows are no multiple of 256 numbers, so that llama.cpp takes another format, about."""
BLOCK = 256
LOOKED_AT = 5
"""Runs that are looked at for a stage's last time."""


def disk_of(stage: str, recipe: Recipe, shape: ModelShape | None) -> int | None:
    """Return the bytes that a stage leaves; None where that is little or not known."""
    if shape is None:
        return None
    if stage == "merge":
        return shape.stored_bytes or 2 * shape.total_parameters
    if stage == "quantize" and recipe.export.has_quantized_file:
        files = sum(bits(name, shape) for name in recipe.export.quantizations)
        return round((files + 16) * shape.total_parameters / 8)  # and one file of 16 bits
    return None


def bits(quantization: str, shape: ModelShape) -> float:
    """Return the bits of a weight in a file of that quantization, about."""
    falls = shape.hidden % BLOCK != 0 and "_K" in quantization
    for start, found in FALLBACK.items() if falls else ():
        if quantization.startswith(start):
            return found
    return BITS.get(quantization, 8.0)


def past_seconds(runs: Runs, recipe: str) -> dict[str, float]:
    """Return how long each stage of a recipe took when it last ran."""
    found: dict[str, float] = {}
    for folder, _ in itertools.islice(runs.ours(recipe), LOOKED_AT):
        for stage in _stages(folder):
            if stage.get("status") == "ran":
                found.setdefault(str(stage["stage"]), float(stage["seconds"]))
    return found


def _stages(folder: Path) -> list[dict[str, Any]]:
    try:
        return list(parse_json(read_file(folder, "report.json"))["stages"])
    except (StoreError, ValueError, KeyError, TypeError):
        return []
