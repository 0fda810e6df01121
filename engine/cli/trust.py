"""Say that a recipe may read and ask what it names outside its project; without this a run refuses it.

A recipe may read the files of its project: of the git repository that it is in, else of its own folder.
Whatever else it names (other files, servers that get rows, keys for them) is shown here and allowed from now
on. Your word is kept in your own folders, bound to that list: a new learning rate does not ask again, a new
path or host does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.output import show, show_json
from engine.cli.place import add_format
from engine.errors import ExitCode, RecipeError
from engine.trust.records import TrustRecord, forget, records


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", type=Path, help="the recipe file")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--list", action="store_true", help="show every recipe that you trust")
    way.add_argument("--forget", action="store_true", help="take your word for this recipe back")
    add_format(parser, "text", "json")


def run(options: argparse.Namespace) -> int:
    """Keep, show or take back the user's word."""
    if options.list:
        return _list(options)
    if options.recipe is None:
        hint = "recipe trust RECIPE, or recipe trust --list"
        raise RecipeError.one("R314", "no recipe is named", hint=hint)
    return _forget(options) if options.forget else _trust(options)


def _trust(options: argparse.Namespace) -> int:
    from engine.recipe.outside import trust_as_it_stands  # reads a recipe

    found = trust_as_it_stands(options.recipe)
    references = sorted({one.reference for one in found})
    if options.format == "json":
        show_json({"schema": "trust.v1", "recipe": str(options.recipe), "references": references})
    elif references:
        lines = [
            f"{options.recipe} may now, and until it names something else outside its project:"
        ]
        show("\n".join([*lines, *(f"  {one}" for one in references)]))
    else:
        show(f"{options.recipe} names nothing outside its project: nothing has to be trusted")
    return ExitCode.ACCEPTED


def _forget(options: argparse.Namespace) -> int:
    was_there = forget(options.recipe)
    if options.format == "json":
        fields = {"schema": "trust.v1", "recipe": str(options.recipe), "forgotten": was_there}
        show_json(fields)
    else:
        outcome = "is no longer trusted" if was_there else "was not trusted"
        show(f"{options.recipe} {outcome}")
    return ExitCode.ACCEPTED


def _list(options: argparse.Namespace) -> int:
    found = records()
    if options.format == "json":
        listed = [
            {
                "recipe": str(one.recipe),
                "sha256": one.sha256,
                "trusted": one.trusted,
                "references": list(one.references),
            }
            for one in found
        ]
        show_json({"schema": "trust.v1", "recipes": listed})
    else:
        show("\n".join(line for one in found for line in _lines(one)) or "no recipe is trusted")
    return ExitCode.ACCEPTED


def _lines(record: TrustRecord) -> list[str]:
    return [f"{record.recipe}  {record.trusted[:10]}", *(f"  {one}" for one in record.references)]
