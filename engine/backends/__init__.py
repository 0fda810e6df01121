"""Who trains: backends by the name recipes use. Each passes `tests/contract/backend_suite.py`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from engine.errors import RecipeError

if TYPE_CHECKING:
    from engine.backends.base import Backend
    from engine.environment import Device
    from engine.errors import Problem
    from engine.recipe.model import Recipe

BACKENDS: dict[str, str] = {
    "axolotl": "engine.backends.axolotl",
    "trl": "engine.backends.trl",
}


def load_backend(name: str) -> Backend:
    """Return the backend of that name. RecipeError B401 when there is none."""
    if name not in BACKENDS:
        raise RecipeError.one(
            "B401",
            f"`{name}` is not a backend",
            path="backend.name",
            hint=f"one of: {', '.join(sorted(BACKENDS))}",
        )
    return cast("Backend", importlib.import_module(BACKENDS[name]))


def check_backend(recipe: Recipe) -> tuple[Problem, ...]:
    """Return what is wrong with the recipe for its backend, on any machine. Light."""
    return load_backend(recipe.backend.name).check(recipe)


def check_environment(recipe: Recipe, device: Device) -> tuple[Problem, ...]:
    """Return what keeps this machine from training; ask before anything is spent. Light."""
    return load_backend(recipe.backend.name).check_environment(recipe, device)
