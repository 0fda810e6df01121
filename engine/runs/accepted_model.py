"""What a newer base model takes, what of it was not compared, and the edit that would adopt it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.artifacts import results as flow
from engine.pipeline.loop import RunState
from engine.recipe.metrics import FREE
from engine.recipe.model import HubRef, PackageRef, PathRef, Recipe, Reference
from engine.recipe.text.dump import reference_mapping
from engine.render.number_format import duration, millions, size

PER_TOKEN = ("perplexity",)
"""Models that cut text into other tokens cannot be compared by these."""


def costs(
    state: RunState, report: Mapping[str, Any], *, candidate: str, trained: bool
) -> Iterator[str]:
    """Yield what the newcomer takes, beside what the accepted model took where its `report` says so."""
    old = report.get("training") or {}
    if trained:
        training = flow.read_json(state.artifacts["train"], "training.json")
        yield f"{millions(training['total_parameters'])} parameters{_before(old, 'total_parameters')}"
        yield f"trained in {duration(training['seconds'])}{_before(old, 'seconds')}"
        return
    made = flow.read_json(state.artifacts["baseline"], "baselines.json")
    found = next(item for item in made if item["name"] == candidate)
    facts, rows = found["facts"], found["scores"]["rows"]
    if "parameters" in facts:
        held = f", {size(facts['bytes'])} in memory"
        yield f"{millions(facts['parameters'])} parameters{held}{_before(old, 'total_parameters')}"
    shots = f" with {facts['shots']} shots" if facts.get("shots") else ""
    yield f"answered {rows} rows{shots} in {duration(found['seconds'])}"


def _before(old: Mapping[str, Any], key: str) -> str:
    if key not in old:
        return ""
    shown = duration(old[key]) if key == "seconds" else millions(old[key])
    return f" (accepted: {shown})"


def yaml_of(ref: Reference, folder: Path) -> str:
    """Return the lines of a recipe in that folder that name a base model."""
    import yaml  # light verbs read recipes by other means

    if isinstance(ref, PathRef) and not Path(ref.written).is_absolute():
        written = os.path.relpath(ref.path, folder)
        ref = replace(ref, written=Path(written).as_posix())
    mapping = {"base_model": reference_mapping(ref)}
    return str(yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True))


def notes(recipe: Recipe) -> Iterator[str]:
    """Yield what was not compared, and what is not pinned; `recipe` has the newer base model."""
    gated = {bound.metric for bound in recipe.acceptance.metrics}
    if gated & set(FREE):
        named = ", ".join(sorted(gated & set(FREE)))
        yield f"{named} is not compared: an untouched model is held to the form of an answer"
    if gated & set(PER_TOKEN):
        yield "perplexity is not compared: it counts tokens, and other models cut text otherwise"
    if isinstance(recipe.base_model, HubRef) and recipe.base_model.revision is None:
        yield "the base model is not pinned: it can change unseen"
    if isinstance(recipe.base_model, PackageRef) and recipe.base_model.sha256 is None:
        yield "the package is not pinned by a sha256"
    yield "the accepted model answers as it was judged: before any merge or quantization"
