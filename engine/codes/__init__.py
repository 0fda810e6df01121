"""Codes of problems that no rule of a recipe has (those: `engine.recipe.rules`), each with its page.

A module holds the pages of one area in `CODES`, and is known by lying here. A code is never reused and never changes
its meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Final

AREAS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "R": "The recipe and the command line",
        "D": "Rows and files",
        "B": "Training, and rows as they are trained",
        "G": "Gates",
        "X": "Models and exports",
        "E": "The machine and the engine",
        "I": "Mistakes of the engine",
        "W": "What `recipe diff` finds",
    }
)
"""What the first letter of a code says, in the order of the reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The page of one code."""

    title: str
    """The rule in one line, lower-case, no full stop."""
    why: str
    """What goes wrong without the rule, in one or two sentences."""
    fix: str
    """What to edit or run; may hold a short example over several lines."""
    wrong: str = ""
    """The part of a recipe that breaks the rule, with `▸` before the place that is reported; empty for none."""
    right: str = ""
    """The same part as it should be."""


def pages_of_areas() -> dict[str, Code]:
    """Return the pages of the modules of this package."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    return merged(module.CODES for module in modules)


def merged(groups: Iterable[Mapping[str, Code]]) -> dict[str, Code]:
    """Return the pages of all groups, sorted by code; a code that is registered twice is a bug."""
    found: dict[str, Code] = {}
    for pages in groups:
        if twice := found.keys() & pages.keys():
            raise KeyError(f"registered twice: {', '.join(sorted(twice))}")
        found |= pages
    return dict(sorted(found.items()))
