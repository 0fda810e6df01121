"""Rules about what a recipe takes from its parent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import Problem
from engine.recipe.text.source import SourceText


def name_is_its_own(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R126, a warning: two recipes of one name are taken for one."""
    if ("name",) in source.inherited:
        message = f"`{filled['name']}` is the parent's name too: their runs would be mixed"
        hint = f"give `{source.file}` a `name:` of its own"
        yield source.warning("R126", message, at=("name",), hint=hint)
