"""Say that a recipe may read and ask what it names outside its project; without this a run refuses it.

A recipe may read the files of its project: of the git repository that it is in, else of its own folder.
Whatever else it names (other files, servers that get rows, keys for them) is shown here and allowed from now
on. Your word is kept in your own folders, bound to that list: a new learning rate does not ask again, a new
path or host does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.output import show_result
from engine.errors import RecipeError
from engine.recipe.outside import trust_as_it_stands
from engine.trust.allowed import forget, records


def run(options: argparse.Namespace) -> None:
    if not options.list and options.recipe is None:
        hint = "recipe trust RECIPE, or recipe trust --list"
        raise RecipeError.one("R314", "no recipe is named", hint=hint)
    outcome = _list if options.list else _forget if options.forget else _trust
    fields, text = outcome(options.recipe)
    show_result(options, {"schema": "trust.v1", **fields}, text)


def _trust(recipe: Path) -> tuple[dict[str, object], str]:

    references = sorted({one.reference for one in trust_as_it_stands(recipe)})
    text = f"{recipe} names nothing outside its project; where a machine cannot confine it, it counts as yours"
    if references:
        text = f"{recipe} may now, and until it names something else outside its project:"
    text = "\n  ".join([text, *references])
    return {"recipe": str(recipe), "references": references}, text


def _forget(recipe: Path) -> tuple[dict[str, object], str]:
    was_there = forget(recipe)
    outcome = "is no longer trusted" if was_there else "was not trusted"
    return {"recipe": str(recipe), "forgotten": was_there}, f"{recipe} {outcome}"


def _list(_recipe: Path) -> tuple[dict[str, object], str]:
    found = records()
    lines = ((f"{one.recipe}  {one.trusted[:10]}", *one.references) for one in found)
    text = "\n".join("\n  ".join(one) for one in lines)
    listed = [
        {
            "recipe": str(one.recipe),
            "sha256": one.sha256,
            "trusted": one.trusted,
            "references": list(one.references),
        }
        for one in found
    ]
    return {"recipes": listed}, text or "no recipe is trusted"
