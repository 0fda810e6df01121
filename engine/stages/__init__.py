"""What is done: one module a stage, in the order of the pipeline. This table is the table of contents."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from engine.recipe.teacher import soft_targets_of

if TYPE_CHECKING:
    from engine.artifacts.stage import Stage
    from engine.recipe.model import Recipe, Reference, Source

STAGES: tuple[str, ...] = (
    "data",
    "baseline",
    "synthesize",
    "teach",
    "replay",
    "soft_targets",
    "sweep",
    "compile",
    "train",
    "evaluate",
    "resample",
    "forgetting",
    "drift",
    "gate",
    "seeds",
    "answers_only",
    "merge",
    "quantize",
    "verify",
)
"""`report` follows them all, whatever happened; it reads records and is not stored by key."""

PRODUCTS: dict[str, str] = {
    "holdout": "data",
    "synthetic_rows": "synthesize",
    "training_rows": "teach",
    "replayed_rows": "replay",
}
"""Inner products that other stages may need by name, and the stage that makes them."""


OPTIONAL: dict[str, Callable[[Recipe], bool]] = {
    "synthesize": lambda recipe: recipe.data.synthesize is not None,
    "teach": lambda recipe: recipe.teacher is not None,
    "replay": lambda recipe: recipe.data.replay is not None,
    "soft_targets": lambda recipe: soft_targets_of(recipe) is not None,
    "sweep": lambda recipe: recipe.sweep is not None,
    "resample": lambda recipe: (
        recipe.learning_curve
        or recipe.splits.folds > 0
        or bool(recipe.acceptance.over_without_synthetic)
    ),
    "forgetting": lambda recipe: recipe.acceptance.forgetting is not None,
    "drift": lambda recipe: recipe.acceptance.drift is not None,
    "seeds": lambda recipe: bool(recipe.method.seeds),
    "answers_only": lambda recipe: (
        (soft := soft_targets_of(recipe)) is not None and soft.compare_with_answers
    ),
}
"""Stages that not every recipe has, and which recipes do. Here, so that a plan imports the stages that it has only."""


def load_stage(name: str) -> Stage:
    full = f"engine.stages.{name}"
    return cast("Stage", sys.modules.get(full) or importlib.import_module(full))


def after_of(name: str) -> tuple[str, ...]:
    """Which stages must have passed before it (`AFTER`); not part of its key."""
    return tuple(getattr(load_stage(name), "AFTER", ()))


def stages_of(recipe: Recipe) -> tuple[str, ...]:
    """The stages of a recipe's run, in order: all but those of `OPTIONAL` that it does not ask for."""
    return tuple(name for name in STAGES if _has(recipe, name))


def needs_of(name: str, recipe: Recipe) -> tuple[str, ...]:
    """What a stage reads in a run of this recipe: `NEEDS`, and what its module's `also_needs` adds.

    A stage that the recipe does not have is not among them, and none of its products: without a teacher, nobody reads
    its rows.
    """
    stage = load_stage(name)
    also = getattr(stage, "also_needs", None)
    found = (*stage.NEEDS, *(also(recipe) if also else ()))
    return tuple(need for need in found if _has(recipe, PRODUCTS.get(need, need)))


def references_of(name: str, recipe: Recipe) -> Mapping[str, Reference | Source]:
    """What else a stage reads, by a name: what its module's `references` names, mostly nothing."""
    named = getattr(load_stage(name), "references", None)
    return named(recipe) if named else {}


def _has(recipe: Recipe, name: str) -> bool:
    return name not in OPTIONAL or OPTIONAL[name](recipe)
