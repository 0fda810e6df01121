"""The estimate of a recipe from all that this machine knows of it: its base model, its rows, what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.backends.usage import Usage
from engine.environment import Device
from engine.estimate import measured
from engine.estimate.base_model import shape_of, why_unknown
from engine.estimate.measured import Measurement
from engine.estimate.memory import ready
from engine.estimate.rows import Sampler, counted_by, counted_rows, workload_of
from engine.estimate.training import (
    Known,
    TrainingEstimate,
    estimate_from,
    learned_tokens,
    operations_of,
)
from engine.recipe.model import Recipe
from engine.runtime.rendering.key import rendered_key
from engine.store import Artifact, Store

LENGTHS = (
    "how long the rows are: every one is taken at max_length until `recipe data` has read them"
)
ROWS = "how many rows train is known after {}"


def estimate_training(
    recipe: Recipe,
    store: Store,
    device: Device,
    *,
    base_model: Mapping[str, Any],
    data: Artifact | None,
    sample: Sampler | None = None,
) -> TrainingEstimate:
    """Return what training the recipe will take; nothing is fetched and nothing is run.

    `base_model` is its identity as it stands in keys (`PlanInputs.base_model`), `data` the data stage's
    artifact if it is there, `sample` what samples the rows where they were sampled already.
    """
    return estimate_from(recipe, device, known_of(recipe, store, device, base_model, data, sample))


def known_of(
    recipe: Recipe,
    store: Store,
    device: Device,
    base_model: Mapping[str, Any],
    data: Artifact | None,
    sample: Sampler | None = None,
) -> Known:
    """Return what an estimate may stand on."""
    shape = shape_of(recipe.base_model, store)
    workload = workload_of(recipe, store, data=data, base_model=base_model, sample=sample)
    exact = None
    if data is not None:
        rendered = rendered_key(recipe, data.key, base_model).digest
        work = measured.work_of(recipe, device, base_model=base_model, rendered=rendered)
        exact = measured.find(store.root, work)
    missing = [] if shape else [why_unknown(recipe.base_model)]
    missing += [] if workload.train_rows is not None else [ROWS.format(counted_by(recipe))]
    missing += [LENGTHS] if workload.at_most and shape else []
    return Known(
        shape=shape,
        workload=workload,
        measured=exact,
        like=measured.find_like(store.root, measured.machine_of(recipe, device)),
        missing=tuple(missing),
    )


def measurement(
    recipe: Recipe, store: Store, usage: Usage, *, work: dict[str, Any], by: str
) -> Measurement:
    """Return a usage as it is kept: with the operations of its steps, and the bytes of its weights."""
    shape = shape_of(recipe.base_model, store)
    rendered = store.get(work["rendered"])
    rows = counted_rows(rendered) if rendered else None
    learned = learned_tokens(recipe, rows) if rows else 0
    return Measurement(
        by=by,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        usage=usage,
        work=work,
        operations=operations_of(recipe.method, shape, usage, learned=learned) if shape else 0.0,
        weights=ready(shape, recipe.method, work["precision"]) if shape else 0,
    )
