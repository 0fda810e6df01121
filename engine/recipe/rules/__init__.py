"""Rules that span several keys: conditions in a table, others in functions, which importing the package registers.

The page of each code is in `engine/codes/rules`: its title is the message, and its fix the hint, of a problem for which
a rule has no other words. `tests/unit/recipe/test_rules.py` lays the part under `Wrong` of a
page over a valid recipe, and expects the code at the place that `▸` marks; it lays the part under `Right`, the
correction, over both, and expects no problem. `# no KEY` deletes a key.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final, NamedTuple

from engine.codes import all_codes
from engine.errors import Problem
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.text.source import SourceText
from engine.values import replace

Problems = Iterator[Problem]
Check = Callable[[SourceText], Problems]
Get = Callable[[str], Any]
Condition = tuple[str, str, Callable[[Any, Get, SourceText], object]]
RULES: Final[list[tuple[Check, tuple[str, ...]]]] = []
"""Every rule that is a function, and the keys that it reads."""
CONDITIONS: Final[list[Condition]] = []
"""Every rule that is a condition on a key (`engine.recipe.rules.conditions`): code, key, whether it is broken.

A key such as `data.sources[].into` is that of every item of the list.
"""
_WARNINGS: Final = frozenset({"R126", "R206", "R286", "R395"})
"""Codes of conditions that are warnings."""
_AT_KEY: Final = frozenset({
    *("R204", "R218", "R221", "R287", "R321", "R324", "R326", "R327", "R339", "R349", "R350", "R374", "R375"),
    *("R252", "R322", "R397", "R398", "R399", "R417", "R419", "R454"),
})  # fmt: skip
"""Codes of conditions whose problem is at the key, whatever its value."""
_BLOCKING: Final = frozenset({"R105", "R106"})
"""Missing and mistyped values: a rule cannot read them. It can read a wrong name or a number out of range."""


class Broken(NamedTuple):
    """A problem whose words are not those of the page of its code, or whose place is below the key."""

    message: str = ""
    hint: str | None = None
    below: KeyPath = ()
    """Place below the key, such as the index of an item."""


def rule(*reads: str) -> Callable[[Check], Check]:
    """Register a function as a rule, which is skipped where one of the keys is missing or mistyped."""

    def register(check: Check) -> Check:
        RULES.append((check, reads))
        return check

    return register


def value_of(recipe: SourceText, key: str) -> Any:
    """Return the value of a dotted key with defaults; None without one."""
    value: Any = recipe.filled
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def condition_problems(row: Condition, recipe: SourceText, get: Get) -> Problems:
    """Yield the problems of a condition that the recipe breaks; what `get` raises for a key that is wrong is raised."""
    code, key, is_broken = row
    report = recipe.warning if code in _WARNINGS else recipe.problem
    for at, own in _values(key, get):
        if own is not None and (broken := is_broken(own, get, recipe)):
            message, hint, below = broken if isinstance(broken, Broken) else Broken()
            # At the value of a number or a word, at the key of a section or a list.
            is_section = "[" not in key and not below and isinstance(own, dict | list)
            is_key = code in _AT_KEY or is_section
            yield report(code, message, at=(*at, *below), key=is_key, hint=hint)


def _values(key: str, get: Get) -> Iterator[tuple[KeyPath, Any]]:
    """Yield place and value of a key: `sources[]` is each item of the list, `sources[].into` that key of each item."""
    above, is_list, below = key.partition("[]")
    value, at = get(above), tuple(above.split("."))
    if not is_list:
        yield at, value
    for position, item in enumerate(value if is_list and isinstance(value, list) else ()):
        name = below.removeprefix(".")
        yield ((*at, position, name), item.get(name)) if name else ((*at, position), item)


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def check_rules(recipe: SourceText, structure: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return every broken rule; `structure` are the problems that the schema found."""
    structure = tuple(structure)
    blocked = {problem.path for problem in structure if problem.code in _BLOCKING}
    blocked |= {dotted(path) for path in recipe.broken if path}
    is_sound = not structure and not recipe.broken

    def is_blocked(key: str) -> bool:
        pairs = (sorted((key, at), key=len) for at in blocked)
        return any(
            f"{longer}.".startswith((f"{shorter}.", f"{shorter}[")) for shorter, longer in pairs
        )

    def value(key: str) -> Any:
        if is_blocked(key):
            raise LookupError(key)
        return value_of(recipe, key)

    checks = [partial(check, recipe) for check, reads in RULES if not any(map(is_blocked, reads))]
    checks += [partial(condition_problems, row, recipe, value) for row in CONDITIONS]
    problems: list[Problem] = []
    for check in checks:
        try:
            problems += tuple(check())
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # A key that the rule does not name may be wrong. The recipe is refused for that key.
            if is_sound:
                raise
    pages = all_codes() if problems else {}
    # What a rule has no words of its own for is worded by its page.
    return tuple(
        replace(
            problem,
            message=problem.message or pages[problem.code].title,
            hint=problem.hint or pages[problem.code].as_hint,
        )
        for problem in problems
    )
