"""Where in a recipe's file those problems stand that are found when the file is no longer looked at."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from engine.errors import Problem, RecipeError, Severity
from engine.recipe.text.compose import dotted
from engine.recipe.text.extends import extended
from engine.recipe.text.source import Reader, SourceText, read_bytes, read_source
from engine.values import replace

_OF_A_VALUE: Final = frozenset({"B401", "B407"})
"""The others of backends are about a key."""


def placed(
    problems: Iterable[Problem], path: Path, *, read: Reader = read_bytes
) -> tuple[Problem, ...]:
    """Return the problems, those of backends with their place; `read`: see `check_recipe`."""
    found = tuple(problems)
    if not any(map(_lacks_place, found)):
        return found
    try:
        source, _ = extended(read_source(path, read=read), read=read)
    except RecipeError:
        return found
    return tuple(_placed(one, source) if _lacks_place(one) else one for one in found)


def _lacks_place(problem: Problem) -> bool:
    is_of_a_backend = problem.code.startswith("B") or problem.code == "R351"
    return is_of_a_backend and bool(problem.path) and problem.place is None


def _placed(problem: Problem, source: SourceText) -> Problem:
    known = {dotted(at): at for at in (*source.values, *source.inherited)}
    at = known.get(problem.path)
    if at is None:  # a sweep gives it, or a default
        return problem
    place = source.place(at, key=problem.code not in _OF_A_VALUE)
    if problem.severity is Severity.WARNING:
        place = replace(place, snippet=())
    return replace(problem, place=place)
