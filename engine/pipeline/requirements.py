"""Refusals before a run begins: files that may not be read or can move, tasks that nothing measures or trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.backends import check_backend, check_environment
from engine.backends.checks import check_ranks
from engine.compute.profile import Ranks, refuse_indivisible
from engine.environment import Device
from engine.errors import EnvironmentProblem, Problem, RecipeError, Severity
from engine.exporters import missing_for
from engine.recipe import moving_references
from engine.recipe.metrics import primary
from engine.recipe.model import Recipe
from engine.recipe.outside import refusal, withheld_of
from engine.recipe.sweeps import methods_of
from engine.recipe.text.paths import absolute
from engine.stages import stages_of
from engine.values import replace

if TYPE_CHECKING:
    from engine.pipeline.loop import RunOptions


def refuse_outside(recipe: Recipe, warnings: Sequence[Problem] = ()) -> None:
    """RecipeError R306 to R308 for all that a recipe names outside its project and that the user has not allowed."""
    if found := withheld_of(recipe):
        # The recipe's path as the user typed it, so that the words to allow it can be copied.
        named = (one.place.file for one in warnings if one.place is not None)
        own = (file for file in named if absolute(file, Path.cwd()) == recipe.file)
        raise refusal(found, next(own, str(recipe.file)), warnings)


def refuse_moving(recipe: Recipe, warnings: Sequence[Problem]) -> None:
    """RecipeError for what is not pinned, at the places that validation found, unless `allow_moving` is set."""
    found = () if recipe.allow_moving else moving_references(recipe)
    placed = {(problem.code, problem.path): problem for problem in warnings}
    if found:
        # validation has found the same with line and column, as a warning
        placed_problems = [placed.get((problem.code, problem.path), problem) for problem in found]
        raise RecipeError(
            [replace(problem, severity=Severity.ERROR) for problem in placed_problems]
        )


def refuse_unbound(recipe: Recipe, *, until: str | None) -> None:
    """RecipeError R246 without a bound, unless the run ends with its data."""
    kind = recipe.task.kind
    if until != "data" and not recipe.acceptance.metrics:
        raise RecipeError.one(
            "R246",
            "name at least one metric that must hold",
            path="acceptance.metrics",
            hint=f"see: recipe explain R246; `{primary(kind)}` is the main metric of {kind}",
        )


BEFORE_TRAINING = ("data", "baseline")
MAKE_FILES = ("quantize", "verify")


def missing_here(
    recipe: Recipe, device: Device, *, until: str | None = None
) -> tuple[Problem, ...]:
    """Return what keeps this machine from training the recipe, and from the formats that it exports to."""
    found = [p for p in check_environment(recipe, device) if p.severity is Severity.ERROR]
    if until is None or until in MAKE_FILES:
        found += missing_for(recipe.export.formats)
    return tuple(found)


def require_backend(recipe: Recipe, device: Device, *, until: str | None = None) -> None:
    """RecipeError for a recipe that its backend cannot train, EnvironmentProblem where this machine cannot.

    What ends before training is none of the machine's business.
    """
    wrong = [p for p in check_backend(recipe) if p.severity is Severity.ERROR]
    if wrong:
        raise RecipeError(wrong)
    if until in BEFORE_TRAINING:
        return
    missing = missing_here(recipe, device, until=until)
    if missing:
        raise EnvironmentProblem(missing)


def require_ranks(
    recipe: Recipe, device: Device, ranks: Ranks, *, until: str | None = None
) -> None:
    """RecipeError R433, B433, B434 where so many processes cannot train the recipe together; all reasons at once."""
    if ranks.size == 1 or until in BEFORE_TRAINING:
        return
    refuse_indivisible(methods_of(recipe), ranks)
    wrong = check_ranks(recipe, device, ranks)
    if wrong:
        raise RecipeError(wrong)


def refuse_absent(recipe: Recipe, options: RunOptions) -> None:
    """RecipeError R272 when `--until` or `--force` names a stage that the recipe does not have."""
    named = [name for name in (options.until, *options.force) if name is not None]
    absent = [name for name in named if name not in stages_of(recipe)]
    if absent:
        raise RecipeError.one(
            "R272",
            f"this recipe has no stage {absent[0]}",
            path="learning_curve",
            hint="set sweep, learning_curve: true, splits.folds or method.seeds, or name another stage",
        )
