"""The texts of a row, whatever the kind of task, and the words findings share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.data.kinds.base import Filled
from engine.data.reading.row import several
from engine.recipe.prompt import strings

AROUND = 20
"""Characters shown on each side of what was found."""


def texts(filled: Filled) -> Iterator[str]:
    """Yield every text of the row once: the input, the answer where it is free text, the payload."""
    yield filled.input
    if not filled.labels:
        yield filled.target
    if filled.payload:
        seen = {filled.input, filled.target}
        for text in strings(filled.payload):
            if text not in seen:
                seen.add(text)
                yield text


def rewritten(value: Any, rewrite: Callable[[str], str]) -> Any:
    """Return a JSON value with `rewrite` applied to its strings, keys of objects left alone."""
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


def around(text: str, start: int, end: int) -> str:
    """Return a span with a little of what stands beside it, `…` where more was cut off."""
    left, right = max(0, start - AROUND), min(len(text), end + AROUND)
    before, after = "…" if left else "", "…" if right < len(text) else ""
    return f"{before}{text[left:right]}{after}"
