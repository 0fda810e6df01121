"""The columns that a recipe names, and whether the rows of a file have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.data.examples.template import found_at, parse_template
from engine.data.reading.tables import DELIMITERS
from engine.recipe.model import Data, Splits, Task
from engine.recipe.text.paths import format_of

_NOTHING: Final = object()
_WORDS_OF_A_TEXT: Final = 6
"""No column has a name of so many words."""
NO_HEADER: Final = (
    "the first line looks like a row: if it is one, name the columns with `header: [NAME, …]`"
)


def has_column(values: Mapping[str, Any], column: str) -> bool:
    """Tell whether a row has a column, or a value at its path."""
    return found_at(values, column, _NOTHING) is not _NOTHING


def columns_named(task: Task, data: Data, splits: Splits) -> Iterator[tuple[str, str]]:
    """Yield (column, key of the recipe that names it)."""
    label, answer = data.label, data.answer
    if task.input:
        yield from ((column, "task.input") for column in parse_template(task.input).columns)
    if label is not None:
        yield label.column, "data.label.column"
    if answer is not None:
        columns = (answer.column, *answer.references, *optional_columns(data))
        yield from ((column, "data.answer") for column in columns if column)
    if splits.column and splits.column != task.spec.group:
        yield splits.column, "splits.by"


def optional_columns(data: Data) -> tuple[str, ...]:
    """Return the columns that a row may lack, such as those of an answer's fields."""
    answer, label = data.answer, data.label
    labels = (label.column,) if label is not None and label.missing else ()
    if answer is None:
        return labels
    spans = (answer.spans.column,) if answer.spans is not None else ()
    whole = (answer.column,) if answer.missing and answer.column else ()
    return (*(column for _, column in answer.fields), *spans, *whole)


def is_without_header(file: str, names: Sequence[str], labels: Sequence[str]) -> bool:
    """Tell whether a table's first line looks like a row: it has a text, or one label of the task.

    All labels are the header of a column for each.
    """
    if format_of(file) not in DELIMITERS:
        return False
    has_text = any(len(name.split()) >= _WORDS_OF_A_TEXT for name in names)
    return has_text or len(set(names).intersection(labels)) == 1 < len(labels)
