"""Check recipes: every problem at once, with its place, rule and fix."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from engine.cli.output import show, show_problems
from engine.errors import ExitCode, Problem, Severity
from engine.recipe.text.paths import as_typed


def run(options: argparse.Namespace) -> int:
    """Return 0 when no recipe has an error, else 2."""
    from engine.recipe.resolve import parents_among  # after the arguments are good
    from engine.recipe.text.paths import absolute

    problems: list[Problem] = []
    lines: list[str] = []
    named = parents_among(options.recipes)
    for path in options.recipes:
        is_parent = options.parent or absolute(str(path), Path.cwd()) in named
        found, line = _parent(path) if is_parent else _recipe(path)
        problems += found
        lines.append(line)
    as_json = options.format == "json"
    show_problems(problems, as_json=as_json, source=str(options.recipes[0]) if as_json else "")
    if not as_json and (line := "\n".join(filter(None, lines))):
        show(line)
    return ExitCode.USAGE if _is_wrong(problems) else ExitCode.ACCEPTED


def _recipe(path: Path) -> tuple[tuple[Problem, ...], str]:
    """What is wrong with a recipe, and what else is reported about it."""
    from engine.backends import check_backend
    from engine.recipe import check_recipe
    from engine.recipe.resolve import as_parent
    from engine.recipe.text.extends import placed

    recipe, found = check_recipe(path)
    if recipe is None:
        parent = as_parent(found)
        if not (parent.is_sound and parent.left_open):
            return found, ""
        return found, (
            f"{path}: nothing is wrong with what it says; it is incomplete, as the parent of other recipes "
            f"may be: recipe validate --parent {as_typed(path)}"
        )
    found = (*found, *placed(check_backend(recipe), path))
    return found, "" if _is_wrong(found) else f"{path}: valid"


def _parent(path: Path) -> tuple[tuple[Problem, ...], str]:
    from engine.recipe.resolve import check_parent

    parent = check_parent(path)
    if not parent.is_sound:
        return parent.problems, ""
    left = f"; it leaves open {', '.join(parent.left_open)}" if parent.left_open else ""
    return parent.problems, f"{path}: valid as a parent{left}"


def _is_wrong(problems: Iterable[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)
