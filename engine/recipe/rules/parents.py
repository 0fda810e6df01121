"""Rules about what a recipe takes from its parent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import Problem
from engine.recipe.rules.rule import rule
from engine.recipe.text.source import SourceText


@rule("name")
def name_is_its_own(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R126: the name comes from the parent.

    Runs, reports and exported files of all recipes that extend the same parent would go under one name, and
    each would be compared with the last accepted model of the others.

    Fix: Give the recipe a `name:` of its own.

    Wrong:
        extends: ../parents/named.yaml
        # no name

    Right:
        extends: ../parents/named.yaml
        name: desk
    """
    if ("name",) in source.inherited:
        message = f"`{filled['name']}` is the parent's name too: their runs would be mixed"
        hint = f"give `{source.file}` a `name:` of its own"
        yield source.warning("R126", message, at=("name",), hint=hint)
