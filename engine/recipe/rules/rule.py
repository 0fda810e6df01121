"""What a rule is: a function that checks.

Its docstring may be the page of each code that it reports (else see `engine.codes`).

    @rule("task.labels")
    def labels_stay_apart(recipe):
        R210: labels that look the same.

        Why the rule stands, in a sentence or two.

        Fix: What to edit.

        Wrong:
            task:
              labels: [billing, bug, ▸Bug]

        Right:
            task:
              labels: [billing, bug, crash]

The part under `Wrong` is laid over a valid recipe by `tests/unit/recipe/test_rules.py`, which expects the code at the
place that `▸` marks; that under `Right`, what changes, is laid over both, and nothing is wrong then. `# no KEY` takes a
key out. A docstring that begins with no code belongs to a further check of codes that have their page elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import getdoc
from typing import Final

from engine.codes import Code, pages_in
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


def pages_of(check: Check) -> dict[str, Code]:
    return pages_in(getdoc(check) or "")
