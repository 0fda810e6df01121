"""What a check of single rows is. It reads a row as the task sees it and says what is wrong."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.data.examples.template import Filled
from engine.data.reading.row import several
from engine.recipe.prompt import strings
from engine.values import Value

AROUND = 20
"""Characters shown on each side of what was found."""


def texts(filled: Filled) -> Sequence[str]:
    """Return every text of the row once: the input, the answer where it is free text, the payload."""
    own = (filled.input,) if filled.labels else (filled.input, filled.target)
    if not filled.payload:
        return own
    inner = dict.fromkeys(strings(filled.payload))
    return (*own, *(text for text in inner if text not in {filled.input, filled.target}))


def rewritten(value: Any, rewrite: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return rewrite(value)
    if isinstance(value, Mapping):
        # Keys are the names of fields, which the task's schema knows.
        return {key: rewritten(item, rewrite) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rewritten(item, rewrite) for item in value]
    return value


def rows_that(count: int, one: str, many: str) -> str:
    """Return `1 row holds …` or `12 rows hold …`: the count with the verb that fits it."""
    return several(count, f"row {one}", f"rows {many}")


def in_texts(fault: Callable[[str], str | None]) -> Callable[[Sequence[str]], str | None]:
    """Return what says what is wrong with the first text of a row that is not right, or None."""
    return lambda texts_of_row: next(filter(None, map(fault, texts_of_row)), None)


class RowCheck(Value, kw_only=False):
    """Looks at one row at a time and keeps nothing."""

    name: str
    finding: tuple[str, str]
    """What the finding says of one row and of several: `holds personal data`, `hold personal data`."""
    signs: str
    """Characters, as in the brackets of a pattern, of which a text holds one where there is anything to find."""
    look: Callable[[Sequence[str]], str | None]
    """Says what is wrong with the texts of a row (`holds an e-mail address: a…@example.org`), or None."""


class TraitCheck(Value, kw_only=False):
    """Needs every row to say which are odd: the language most have, the form most answers have."""

    name: str
    trait: Callable[[str], str]
    """Returns a short word for a text, of few possible ones; it is all that is kept of it."""
    odd: Callable[[Mapping[str, int]], tuple[frozenset[str], str]]
    """Returns of the counts of traits the odd ones and the finding's sentence; none and `` when nothing is odd.

    A sentence without traits: rows differ, but none is the odd one, so that nothing can be
    dropped; it is reported, and with `fail` it is an error.
    """
    shown: Callable[[str, Mapping[str, int]], str]
    """Returns what an odd trait means, in words, such as `begins with a small letter`."""
    of_answers: bool = False
    """It is given the row's answer, not its input."""
    most: int = sys.maxsize
    """Of more rows so many are read, drawn by their content, but for `drop`, which needs to know each."""
