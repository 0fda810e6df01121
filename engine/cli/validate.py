"""Check recipes: every problem at once, with its place, rule and fix."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.output import show, show_json, show_problems
from engine.cli.place import add_format
from engine.errors import ExitCode, Problem, Severity
from engine.render.problems import problems_json


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("recipes", metavar="RECIPE", nargs="+", type=Path, help="recipe files")
    add_format(parser, "text", "json")


def run(options: argparse.Namespace) -> int:
    """Return 0 when no recipe has an error, else 2."""
    from engine.backends import check_backend  # noqa: PLC0415 - after the arguments are known good
    from engine.recipe import check_recipe  # noqa: PLC0415

    problems: list[Problem] = []
    for path in options.recipes:
        recipe, found = check_recipe(path)
        problems += found
        problems += check_backend(recipe) if recipe is not None else ()
    if options.format == "json":
        show_json(problems_json(problems, source=str(options.recipes[0])))
    else:
        show_problems(problems)
    wrong = any(problem.severity is Severity.ERROR for problem in problems)
    if not wrong and options.format == "text":
        show("\n".join(f"{path}: valid" for path in options.recipes))
    return ExitCode.USAGE if wrong else ExitCode.ACCEPTED
