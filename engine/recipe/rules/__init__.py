"""Rules that span several keys: one function each. Every module of this package is imported here: there is no list.

The page of each code stands in `engine/codes/rules`. The part under `Wrong` of a page is laid over a valid recipe by
`tests/unit/recipe/test_rules.py`, which expects the code at the place that `▸` marks; that under `Right`, what changes,
is laid over both, and nothing is wrong then. `# no KEY` takes a key out.
"""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from engine.errors import Problem
from engine.recipe.text.compose import dotted
from engine.recipe.text.source import FilledText
from engine.values import Value

Problems = Iterator[Problem]
Check = Callable[[FilledText], Problems]
"""A recipe, defaults filled in, to what is wrong."""


class Rule(Value, kw_only=False):
    check: Check
    reads: tuple[str, ...]
    """Keys without which it cannot be checked: where one of them is mistyped, the rule is left out."""


RULES: Final[list[Rule]] = []
"""Every rule of the modules of this package, in the order in which they were imported."""


def rule(*reads: str) -> Callable[[Check], Check]:

    def register(check: Check) -> Check:
        RULES.append(Rule(check, reads))
        return check

    return register


# A rule registers itself when its module is imported, so importing all of them is the whole list.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

_BLOCKING: Final = frozenset({"R105", "R106"})
"""After these a rule cannot read what it needs; after a wrong name or range it can."""


def check_rules(recipe: FilledText, structure: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return every broken rule; a rule is left out where what it reads is missing or mistyped."""
    structure = tuple(structure)
    blocked = {problem.path for problem in structure if problem.code in _BLOCKING}
    blocked |= {dotted(path) for path in recipe.broken if path}

    def overlap(key: str, at: str) -> bool:
        shorter, longer = sorted((key, at), key=len)
        return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))

    return tuple(
        problem
        for rule in RULES
        if not any(overlap(key, at) for key in rule.reads for at in blocked)
        for problem in _broken(rule, recipe, is_sound=not structure and not recipe.broken)
    )


def _broken(one: Rule, recipe: FilledText, *, is_sound: bool) -> tuple[Problem, ...]:
    """Return how a recipe breaks a rule; nothing where the rule cannot read one that is refused anyway."""
    try:
        return tuple(one.check(recipe))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # A rule may look at a key beside those that it names, and that one may be the one that is wrong.
        if is_sound:
            raise
        return ()
