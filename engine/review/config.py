"""What the change does to the config that the training backend is given, key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from engine.backends.base import ConfigLine
from engine.environment import Device
from engine.errors import RecipeError
from engine.evidence.review import ConfigChange
from engine.recipe.model import Json, Recipe
from engine.review.compare import Versions
from engine.review.reruns import nominal_rows
from engine.stages.compile import compile_recipe

MOST: Final = 80
"""Characters of a value that are shown."""


def config_changes(pair: Versions, device: Device) -> tuple[ConfigChange, ...]:
    """Return the keys of the compiled config that differ, in the backend's own order.

    Empty where a version cannot be compiled: its problems say why.
    """
    old, new = pair.old.recipe, pair.new.recipe
    try:
        before, after = _lines(old, device), _lines(new, device)
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
    for key in (*after, *(key for key in before if key not in after)):
        old, new = before.get(key), after.get(key)
        line = new or old
        if line is None or (old and new and old.value == new.value):
            continue
        yield ConfigChange(
            key=key,
            before=None if old is None else _shown(old.value),
            after=None if new is None else _shown(new.value),
            origin=line.origin,
        )


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"
