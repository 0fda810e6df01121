"""What methods name and a base model that is here does not have. Light: nothing is loaded."""

from __future__ import annotations

from engine.errors import Problem, StageError
from engine.estimate.base_model import shape_of
from engine.recipe.model import Recipe
from engine.recipe.sweeps import methods_of
from engine.store import Store
from engine.training.fit import unfit


def refuse_unfit(recipe: Recipe, store: Store) -> None:
    """StageError X730, X731 for each setting; nothing while the base model has to be fetched, which training asks."""
    shape = shape_of(recipe.base_model, store)
    if shape is None:
        return
    modules = () if shape.assumed else [one.name for one in shape.linears]
    problems = dict.fromkeys(
        problem
        for method in methods_of(recipe)
        for problem in unfit(method, layers=shape.layers, modules=modules)
    )
    if problems:
        raise StageError(list[Problem](problems))
