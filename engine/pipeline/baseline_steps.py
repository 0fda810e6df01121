"""What to do with baselines that meet every threshold, by their kind: which of them can leave, and how."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from engine.errors import listed
from engine.recipe.baselines import ASKS_BASE_MODEL, EXPORTABLE
from engine.recipe.model import Recipe
from engine.recipe.text.paths import as_typed

MODEL: Final = "model"
SHIP: Final = "ship the baseline that passes, or raise the thresholds if they are too low"


def steps_of_passing(recipe: Recipe, passing: Collection[str], recipe_file: str) -> Iterator[str]:
    """Yield what to do where these baselines pass, commands among it."""
    kinds = {one.name: one.kind for one in recipe.baselines if one.name in passing}
    fitted = _of(kinds, EXPORTABLE)
    untouched, models = _of(kinds, ASKS_BASE_MODEL), _of(kinds, (MODEL,))
    plain = [name for name in kinds if name not in (*fitted, *untouched, *models)]
    if len(plain) == len(kinds):
        what = "it learns nothing" if len(plain) == 1 else "they learn nothing"
        yield f"raise the thresholds: {listed(plain)} {_meet(plain)} them, and {what} of what a text means"
        return
    yield SHIP
    if recipe.splits.folds and fitted:
        yield (
            f"to ship {listed(fitted, 'or')}, run the recipe with a holdout in place of splits.folds: each row was"
            " judged by another model"
        )
    elif fitted:
        yield from export_commands(recipe, passing, recipe_file)
    if untouched:
        are = "is" if len(untouched) == 1 else "are"
        yield f"{listed(untouched)} {are} the base model as it stands: nothing has to be exported"
    if models:
        are = "is another model" if len(models) == 1 else "are other models"
        yield f"{listed(models)} {are}, to be used where it stands: nothing has to be exported"


def export_commands(recipe: Recipe, passing: Collection[str], recipe_file: str) -> Iterator[str]:
    """Yield the commands that export the baselines which pass; none where each fold has a model of its own."""
    if recipe.splits.folds:
        return
    for one in recipe.baselines:
        if one.name in passing and one.kind in EXPORTABLE:
            yield f"recipe export baseline {as_typed(recipe_file)} --baseline {one.name}"


def _of(kinds: Mapping[str, str], among: Collection[str]) -> list[str]:
    return [name for name, kind in kinds.items() if kind in among]


def _meet(names: Collection[str]) -> str:
    return "meets" if len(names) == 1 else "meet"
