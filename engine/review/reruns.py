"""Which stages would run again: the real keys of a plan, taken of both versions in the same world.

Where sizes are fractions the keys of a plan wait for the rows to be counted; here both versions get
the same nominal number of rows, so that the keys differ exactly where the recipes do. Which setting a
sweep chooses is not known either: while both have the same sweep, its first one stands for it, and with
another sweep all that follows it may be of another method.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.backends.base import ConfigLine
from engine.environment import Device
from engine.errors import RecipeError
from engine.estimate.devices import Price, price_of
from engine.estimate.training import TrainingEstimate, estimate_training
from engine.evidence.review import ConfigChange, Cost
from engine.pipeline.plan import SWEEP, PlanInputs, plan_run
from engine.recipe.model import (
    BaseModel,
    HubRef,
    Json,
    PackageRef,
    PathRef,
    Recipe,
    Reference,
    Source,
    ValidationSize,
)
from engine.recipe.sweeps import methods_of, settled
from engine.render.number_format import about, count, millions, size
from engine.review.compare import Versions
from engine.review.version import Side
from engine.sources import base_model_identity, identity
from engine.sources.local import DigestMemory
from engine.stages import STAGES, references_of, stages_of
from engine.stages.compile import compile_recipe
from engine.store import Store
from engine.values import MINUS, decimal, replace

UNKNOWN: Final = "not known"


def costs(versions: Versions, store: Store, device: Device) -> tuple[Cost, ...]:
    found: list[Cost] = []
    counts = [len(methods_of(side.recipe)) for side in (versions.old, versions.new)]
    if counts[0] != counts[1]:
        more = decimal(counts[1] - counts[0], 0, signed=True)
        says = f"{more}: every setting of `sweep` is one; the other numbers are of one by `method`"
        found.append(
            Cost(name="trainings", before=count(counts[0]), after=count(counts[1]), says=says)
        )
    old, new = (
        estimate_training(
            side.recipe,
            store,
            device,
            base_model=start_identity(side.recipe.base_model, side),
            data=None,
        )
        for side in (versions.old, versions.new)
    )
    if old == new and not found:
        return ()
    return (*found, *_numbers(old, new, device), *_money(old, new, price_of(device, None)))


def _numbers(old: TrainingEstimate, new: TrainingEstimate, device: Device) -> Iterator[Cost]:
    why = "; ".join(dict.fromkeys((*old.unknown, *new.unknown)))
    basis = " and ".join(dict.fromkeys((old.basis, new.basis)))
    parts: tuple[tuple[str, float | None, float | None, Callable[[int], str], str], ...] = (
        ("trainable parameters", old.trainable_parameters, new.trainable_parameters, millions, ""),
        ("steps", old.steps, new.steps, count, ""),
        ("memory", old.memory_bytes, new.memory_bytes, size, "estimated"),
        ("time", old.seconds, new.seconds, about, "estimated"),
    )
    for name, before, after, words, how in parts:
        if before is None or after is None:
            yield Cost(name=name, before="", after="", says=f"{UNKNOWN}: {why or 'as the rows'}")
        elif before != after:
            by = f", {how} for this {device.kind} ({basis})" if how else ""
            shown, sign = (words(int(before)), words(int(after))), "+" if after >= before else MINUS
            says = f"{sign}{words(abs(int(after - before)))}{by}"
            yield Cost(name=name, before=shown[0], after=shown[1], says=says)


def _money(old: TrainingEstimate, new: TrainingEstimate, price: Price | None) -> Iterator[Cost]:
    """What the difference in time costs, at the user's own price."""
    if old.seconds is None or new.seconds is None:
        return
    if price is None:
        why = "no price of this device is set (slm-recipe/prices.yaml in your config folder)"
        yield Cost(name="cost", before="", after="", says=f"{UNKNOWN}: {why}")
        return
    before, after = price.of(old.seconds), price.of(new.seconds)
    currency = f" {price.currency}" if price.currency else ""
    shown = [f"{value:.2f}{currency}" for value in (before, after)]
    says = (
        f"{decimal(after - before, 2, signed=True)}{currency} for the training, by {price.source}"
    )
    yield Cost(name="cost", before=shown[0], after=shown[1], says=says)


MOST: Final = 80
"""Characters of a value that are shown."""

ROWS: Final = 1000
"""Nominal, where a recipe says shares."""
# No store, so that what this machine has built or remembers is in no key.
_NOWHERE: Final = Path("/nonexistent/recipe-review")
REPORT: Final = "report"


def reruns(versions: Versions, device: Device) -> tuple[str, ...]:
    """Return the stages of the new version whose key the old version has not, in order.

    `report`, which always runs, ends them where there are any.
    """
    old, new = _keys(versions.old, device), _keys(versions.new, device)
    unsettled = old.get(SWEEP) != new.get(SWEEP)
    after = STAGES[STAGES.index(SWEEP) :] if unsettled else ()
    again = [
        name for name in STAGES if name in new and (name in after or new[name] != old.get(name))
    ]
    return (*again, REPORT) if again else ()


def _keys(side: Side, device: Device) -> Mapping[str, str]:
    recipe = nominal(side.recipe)
    inputs = PlanInputs(
        device=device,
        sources=tuple(_identity(source, side) for source in recipe.data.sources),
        base_model=start_identity(recipe.base_model, side),
        references={
            name: _identity(found, side)
            for stage in stages_of(recipe)
            for name, found in references_of(stage, recipe).items()
        },
        lock=side.lock,
        nominal=True,
    )
    keys = _planned(recipe, inputs)
    if recipe.sweep is None:
        return keys
    return keys | _planned(replace(settled(recipe, 0), sweep=None), inputs)


def _planned(recipe: Recipe, inputs: PlanInputs) -> dict[str, str]:
    plan = plan_run(recipe, Store(_NOWHERE), inputs=inputs)
    return {stage.name: stage.key.digest if stage.key else "" for stage in plan.stages}


def _identity(found: Source | Reference, side: Side) -> Mapping[str, Any]:
    if not isinstance(found, Source):
        return reference_identity(found, side)
    beside = {file.column: reference_identity(file.ref, side) for file in found.columns}
    return {**reference_identity(found.ref, side), **({"columns": beside} if beside else {})}


def start_identity(base: BaseModel, side: Side) -> Mapping[str, Any]:
    return base_model_identity(base, lambda ref: reference_identity(ref, side))


def reference_identity(ref: Reference, side: Side) -> Mapping[str, Any]:
    """Return what differs where a reference means something else; cheap, and no part of a stored key."""
    if isinstance(ref, HubRef | PackageRef):
        return identity(ref, DigestMemory(_NOWHERE / "digests.json"))
    if isinstance(ref, PathRef) and ref.sha256 is not None:
        return {"sha256": ref.sha256}
    return {"path": str(ref.path)} if ref.withheld else side.tree.identity(ref.path)


def nominal(recipe: Recipe) -> Recipe:
    train, validation = nominal_rows(recipe)
    return replace(recipe, splits=replace(recipe.splits, train=train, validation=validation))


def nominal_rows(recipe: Recipe) -> tuple[int, int]:
    return _rows(recipe.splits.train), _rows(recipe.splits.validation)


def _rows(size: ValidationSize) -> int:
    if isinstance(size, str):
        return ROWS
    return size if isinstance(size, int) else round(size * ROWS)


def config_changes(versions: Versions, device: Device) -> tuple[ConfigChange, ...]:
    """Return the keys of the compiled config that differ, in the backend's own order.

    Empty where a version cannot be compiled: its problems say why.
    """
    try:
        before, after = (_lines(side.recipe, device) for side in (versions.old, versions.new))
    except RecipeError:
        return ()
    return tuple(_changes(before, after))


def _lines(recipe: Recipe, device: Device) -> Mapping[str, ConfigLine]:
    train, validation = nominal_rows(recipe)
    config = compile_recipe(recipe, device, train_rows=train, validation_rows=validation)
    return {line.key: line for line in config.lines}


def _changes(
    before: Mapping[str, ConfigLine], after: Mapping[str, ConfigLine]
) -> Iterator[ConfigChange]:
    for key in dict.fromkeys((*after, *before)):
        old, new = before.get(key), after.get(key)
        values = [None if line is None else _shown(line.value) for line in (old, new)]
        line = new or old
        if line and not (old and new and old.value == new.value):
            yield ConfigChange(key=key, before=values[0], after=values[1], origin=line.origin)


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"
