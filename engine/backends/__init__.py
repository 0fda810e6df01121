"""Who trains: backends by the name recipes use.

Each passes `tests/support/backend_suite.py`, but for Nanotron, for which configs are compiled and nothing is trained.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from engine.environment import Device
from engine.errors import Problem
from engine.recipe.model import Recipe
from engine.recipe.rules.method import BACKENDS as NAMES
from engine.recipe.sweeps import methods_of
from engine.values import replace

if TYPE_CHECKING:
    from engine.backends.base import BackendModule

# Names and not modules: a verb imports only the backend that its recipe names.
BACKENDS: dict[str, str] = {name: f"engine.backends.{name}" for name in NAMES}


def load_backend(name: str) -> BackendModule:
    return cast("BackendModule", importlib.import_module(BACKENDS[name]))


def check_backend(recipe: Recipe) -> tuple[Problem, ...]:
    """Return what is wrong with the recipe, with any of its methods, for its backend, on any machine. Light."""
    backend = load_backend(recipe.backend.name)
    return _of_every_method(recipe, backend.check)


def check_environment(recipe: Recipe, device: Device) -> tuple[Problem, ...]:
    backend = load_backend(recipe.backend.name)
    return _of_every_method(recipe, lambda one: backend.check_environment(one, device))


def _of_every_method(
    recipe: Recipe, check: Callable[[Recipe], tuple[Problem, ...]]
) -> tuple[Problem, ...]:
    found = (check(replace(recipe, method=method)) for method in methods_of(recipe))
    return tuple(dict.fromkeys(problem for problems in found for problem in problems))
