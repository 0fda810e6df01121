"""Rules about what texts hide from whoever reviews a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import UNWANTED, KeyPath
from engine.recipe.text.lookalike import unseen
from engine.recipe.text.source import FilledText
from engine.recipe.validation.schema_errors import show

_SEPARATORS: Final = frozenset({"separator"})
"""Keys whose values are no text that anybody reads: U+001F stands between labels in some tables."""


@rule()
def texts_hide_nothing(recipe: FilledText) -> Problems:
    r"""R415: a text that holds a control character, or turns the direction of what follows it.

    Written as an escape it is seen in the file, and no longer where the text is shown: in a prompt, a report, a
    comment. R122 is the same of the file itself.

    Fix: Delete the escape.

    Wrong:
        task:
          instruction: ▸"Which of {labels}? \u202e"

    Right:
        task:
          instruction: "Which of {labels}?"
    """
    for at, text, is_key in _texts(recipe.value):
        found = UNWANTED.search(text)
        if found and not (at and at[-1] in _SEPARATORS):
            message = f"{show(text)} holds U+{ord(found[0]):04X}"
            yield recipe.problem("R415", message, at=at, key=is_key, hint="delete the character")


@rule("task.labels")
def labels_are_seen(recipe: FilledText) -> Problems:
    r"""R416: a label that holds a character which nobody sees.

    Zero-width spaces, soft hyphens and fillers make another label of what reads the same. Joiners within a word are
    fine. A warning.

    Fix: Delete the character, here and in the data.

    Wrong:
        task:
          labels: [billing, ▸"bu\u200bg"]

    Right:
        task:
          labels: [billing, bug]
    """
    for position, label in enumerate(recipe["task"].get("labels", [])):
        if found := unseen(label):
            message = f"{show(label)} holds U+{ord(found):04X}, which nobody sees"
            at = ("task", "labels", position)
            yield recipe.warning("R416", message, at=at, hint="delete the character")


def _texts(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, str, bool]]:
    """Yield every text of a recipe, at its key, and whether it is the key itself."""
    if isinstance(value, str):
        yield at, value, False
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield (*at, str(name)), str(name), True
            yield from _texts(inner, (*at, str(name)))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _texts(inner, (*at, position))
