"""The settings that are tried before one becomes the model: `sweep`."""

from __future__ import annotations

from dataclasses import dataclass

from engine.recipe.model.method import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Methods to choose from, by the validation rows."""

    settings: tuple[Method, ...]
    """In the order of the recipe; of a grid, the last key varies fastest."""
    choose_by: str
    """A metric of the kind of task."""
