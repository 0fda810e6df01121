"""What a rule is: a function that checks.

The page of each code that it reports stands in `engine/codes/rules`. The part under `Wrong` of a page is laid over a
valid recipe by `tests/unit/recipe/test_rules.py`, which expects the code at the place that `▸` marks; that under
`Right`, what changes, is laid over both, and nothing is wrong then. `# no KEY` takes a key out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from engine.errors import Problem
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
