"""What methods name and a base model that is here does not have. Light: nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.errors import Problem, StageError
from engine.estimate.base_model import shape_of, tokenizer_file
from engine.recipe.model import FewerLayers, Recipe
from engine.recipe.references import kept_layers
from engine.recipe.sweeps import methods_of
from engine.store import Store
from engine.training.fit import unfit
from engine.training.teacher_tokens import other_tokens, tokens_in

_EMBEDDINGS: Final = ("embed_tokens", "lm_head")
"""Modules that may get an adapter too, and that no shape lists among the linear ones."""


def refuse_unfit(recipe: Recipe, store: Store) -> None:
    """StageError X730, X731 for each setting, X741 for layers that are kept, X744 for a teacher of other tokens.

    Nothing while a model has to be fetched: then a stage asks it, before it spends anything.
    """
    problems = dict.fromkeys([*_unfit(recipe, store), *_other_tokens(recipe, store)])
    if problems:
        raise StageError(list[Problem](problems))


def _other_tokens(recipe: Recipe, store: Store) -> Iterator[Problem]:
    teacher = recipe.teacher
    if teacher is None or teacher.soft is None or teacher.model.ref is None:
        return
    mine = tokenizer_file(recipe.base_model, store)
    theirs = tokenizer_file(teacher.model.ref, store)
    student, teachers = (tokens_in(file) if file else {} for file in (mine, theirs))
    if student and teachers:
        yield from other_tokens(student, teachers)


def _unfit(recipe: Recipe, store: Store) -> Iterator[Problem]:
    base = recipe.base_model
    whole = shape_of(base.of, store) if isinstance(base, FewerLayers) else None
    if isinstance(base, FewerLayers) and whole is not None:
        try:
            kept_layers(base.keep_layers, whole.layers)
        except StageError as error:
            yield from error.problems
            return
    shape = shape_of(base, store)
    if shape is None:
        return
    modules = () if shape.assumed else [*(one.name for one in shape.linears), *_EMBEDDINGS]
    for method in methods_of(recipe):
        yield from unfit(method, layers=shape.layers, modules=modules)
