"""Rules that span several keys, one function each. Importing the package imports every module in it: there is no list.

The page of each code is in `engine/codes/rules`. `tests/unit/recipe/test_rules.py` lays the part under `Wrong` of a
page over a valid recipe, and expects the code at the place that `▸` marks; it lays the part under `Right`, the
correction, over both, and expects no problem. `# no KEY` deletes a key.
"""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from engine.errors import Problem
from engine.recipe.text.compose import dotted
from engine.recipe.text.source import SourceText

Problems = Iterator[Problem]
Check = Callable[[SourceText], Problems]
RULES: Final[list[tuple[Check, tuple[str, ...]]]] = []
"""Every rule, and the keys that it reads."""
_BLOCKING: Final = frozenset({"R105", "R106"})
"""Missing and mistyped values: a rule cannot read them. It can read a wrong name or a number out of range."""


def rule(*reads: str) -> Callable[[Check], Check]:
    """Register a function as a rule, which is skipped where one of the keys is missing or mistyped."""

    def register(check: Check) -> Check:
        RULES.append((check, reads))
        return check

    return register


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def check_rules(recipe: SourceText, structure: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return every broken rule; `structure` are the problems that the schema found."""
    structure = tuple(structure)
    blocked = {problem.path for problem in structure if problem.code in _BLOCKING}
    blocked |= {dotted(path) for path in recipe.broken if path}
    is_sound = not structure and not recipe.broken

    def overlap(key: str, at: str) -> bool:
        shorter, longer = sorted((key, at), key=len)
        return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))

    problems: list[Problem] = []
    for check, reads in RULES:
        if any(overlap(key, at) for key in reads for at in blocked):
            continue
        try:
            problems += tuple(check(recipe))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # A key that the rule does not name may be wrong. The recipe is refused for that key.
            if is_sound:
                raise
    return tuple(problems)
