"""Rules about what a recipe takes from its parent."""

from __future__ import annotations

from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.source import FilledText


@rule("name")
def name_is_its_own(recipe: FilledText) -> Problems:
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
    if ("name",) in recipe.inherited:
        message = f"`{recipe['name']}` is the parent's name too: their runs would be mixed"
        hint = f"give `{recipe.file}` a `name:` of its own"
        yield recipe.warning("R126", message, at=("name",), hint=hint)
