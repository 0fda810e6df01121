"""The models beside the baselines that a recipe asks: a teacher, the writer of synthetic rows, and their judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.recipe.model import Baseline, Recipe
from engine.recipe.text.compose import KeyPath

TEACHER: Final[KeyPath] = ("teacher", "model")
SYNTHESIZE: Final[KeyPath] = ("data", "synthesize")
WRITER: Final[KeyPath] = (*SYNTHESIZE, "teacher")
JUDGE: Final[KeyPath] = (*SYNTHESIZE, "keep", "agreement", "judge")


def asked_models(recipe: Recipe) -> Iterator[tuple[KeyPath, Baseline]]:
    """Yield each model beside the baselines that a recipe asks, at the key that names it."""
    # one of the baselines stands among them already
    if recipe.teacher is not None and recipe.teacher.model.kind == "model":
        yield TEACHER, recipe.teacher.model
    if (value := recipe.data.synthesize) is not None:
        yield WRITER, value.teacher
        if value.agreement.judge is not None:
            yield JUDGE, value.agreement.judge


def written_models(value: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Yield the same of a recipe's text, which may be broken."""
    for at in (TEACHER, WRITER, JUDGE):
        found: Any = value
        for key in at:
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, Mapping):
            yield at, found
