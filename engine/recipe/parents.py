"""A file that other recipes extend, looked at by itself: what is wrong in it, and what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import Problem, RecipeError, Severity
from engine.recipe.resolve import OF_ABSENCE, check_recipe
from engine.recipe.text.extends import KEY
from engine.recipe.text.paths import absolute
from engine.recipe.text.source import read_source
from engine.values import Value, replace


class Parent(Value):
    """What a check of a file as a parent found."""

    problems: tuple[Problem, ...]
    """What no child can put right except by replacing it."""
    left_open: tuple[str, ...]
    """Keys that a recipe must have, and that a child therefore says; empty for a whole recipe."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing in it is wrong."""
        return not any(problem.severity is Severity.ERROR for problem in self.problems)


def as_parent(problems: Sequence[Problem]) -> Parent:
    """Return what the problems of a recipe mean where it is a parent: what is missing may be missing."""
    missing = [problem for problem in problems if problem.code in OF_ABSENCE]
    return Parent(
        problems=tuple(problem for problem in problems if problem.code not in OF_ABSENCE),
        left_open=tuple(dict.fromkeys(problem.path for problem in missing)),
    )


def check_parent(path: Path) -> Parent:
    """Return what is wrong in a file that is to be extended, and what it leaves open."""
    found = as_parent(check_recipe(path)[1])
    if _named_by(path) is None:
        return found
    message, hint = "a parent cannot extend another recipe", "delete this line"
    further = read_source(path).problem("R124", message, at=(KEY,), key=True, hint=hint)
    return replace(found, problems=(*found.problems, further))


def parents_among(paths: Sequence[Path]) -> frozenset[Path]:
    """Return those of the files that another of them extends, as absolute paths."""
    files = {absolute(str(path), Path.cwd()): _named_by(path) for path in paths}
    return frozenset(named for file, named in files.items() if named in files and named != file)


def _named_by(path: Path) -> Path | None:
    """Return the parent that a file names; None for none, and where it cannot be read."""
    try:
        source = read_source(path)
    except RecipeError:
        return None
    named = source.value.get(KEY)
    return absolute(named, source.path.parent) if isinstance(named, str) and named else None
