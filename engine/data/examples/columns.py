"""The columns that a recipe names, and whether rows have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.data.examples.template import found_at, parse_template
from engine.recipe.model import Data, Splits, Task

_NOTHING: Final = object()


def columns_named(task: Task, data: Data, splits: Splits) -> Iterator[tuple[str, str]]:
    """Yield (column, key of the recipe that names it)."""
    if task.input:
        yield from ((column, "task.input") for column in parse_template(task.input).columns)
    if data.label is not None:
        yield data.label.column, "data.label.column"
    answer = data.answer
    if answer is not None:
        columns = (answer.column, *answer.references, *_optional(data))
        yield from ((column, "data.answer") for column in columns if column)
    if splits.column:
        yield splits.column, "splits.by"


def has_column(values: Mapping[str, Any], column: str) -> bool:
    """Tell whether a row has a column, or a value at its path."""
    return found_at(values, column, _NOTHING) is not _NOTHING


class Unseen:
    """Columns that a row may lack, such as those of an answer's fields, but not every row.

    A misspelt one would leave its field out of every answer, and nothing else would tell.
    """

    def __init__(self, data: Data) -> None:
        """Begin with all of them."""
        self.optional = frozenset(_optional(data))
        self.left = set(self.optional)
        self.first = ""
        """Where the first row stands."""

    def look(self, origin: str, values: Mapping[str, Any]) -> None:
        """Take out those that this row has."""
        self.first = self.first or origin
        if self.left:
            self.left = {column for column in self.left if not has_column(values, column)}


def _optional(data: Data) -> tuple[str, ...]:
    answer = data.answer
    if answer is None:
        return ()
    spans = (answer.spans.column,) if answer.spans is not None else ()
    return (*(column for _, column in answer.fields), *spans)
