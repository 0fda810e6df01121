"""Filling `task.input` from a row: `{column}`, `{nested.1.path}`; `{{`, `}}` are literal braces."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from engine.data.reading.tables import DELIMITERS
from engine.errors import DataError
from engine.recipe.model import Data, Splits, Task
from engine.recipe.prompt import TemplateError, pieces
from engine.recipe.text.paths import format_of
from engine.values import Value, field

Values = Mapping[str, Any]


class Filled(Value):
    """A row as the task sees it; the fields mean what they mean in `engine.data.examples.example.Example`."""

    input: str
    target: str
    labels: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)
    lacks: bool = False
    """A column that the input or the answer names has no value, or a blank one (check `empty`)."""


class RejectedError(Exception):
    """A row that cannot be an example, for a reason that a check of the recipe answers for.

    `check` is a key of `data.checks`; `what` says what is wrong with the row, with an excerpt of
    the value, and without its place. `drop` and `warn` leave such a row out and count it: there is
    nothing else that could be done with it. With `off` it is left out silently, but counted.
    """

    def __init__(self, check: str, what: str, *, value: str = "") -> None:
        super().__init__(what)
        self.check = check
        self.what = what
        self.value = value
        """What rows with the same trouble share, such as the unknown label; they are reported together."""


def malformed(what: str) -> RejectedError:
    return RejectedError("schema_violations", what)


Fill = Callable[[Values], Filled]
"""Raises `MissingColumnError`, `UnusableValueError` (`engine.data.examples.template`), `NoNumberError`,
`NoBinError` (`engine.data.examples.answers`) or `RejectedError`."""


class RowReader(Protocol):
    """A module in `engine.data.kinds`."""

    def filler(self, task: Task, data: Data, shape: str) -> Fill:
        """Return what turns rows of that shape into `Filled`; `shape` is never `auto`."""


class MissingColumnError(Exception):
    """A row has no such column; the argument is its path."""


class UnusableValueError(Exception):
    """A value has no text form; the message says why."""


class Template(Value):
    pieces: tuple[str, ...]
    """Literal text; one more piece than columns, they alternate."""
    columns: tuple[str, ...]

    def fill(self, values: Mapping[str, Any]) -> tuple[str, bool]:
        """Return the text, and whether a column it names has no value (null, NaN or blank).

        Text stands as it is; numbers, booleans, lists and objects in their compact JSON form.
        `MissingColumnError` when the row lacks a column, `UnusableValueError` for dates and bytes.
        """
        texts = self._texts(values)
        return self._joined(texts), not all(map(str.strip, texts))

    def question(self, values: Mapping[str, Any], *, asks_partly_blank: bool) -> str | None:
        """Return the text that a model is asked; None where a column (`asks_partly_blank`: every column) is blank."""
        texts = self._texts(values)
        is_enough = any if asks_partly_blank else all
        return self._joined(texts) if is_enough(map(str.strip, texts)) else None

    def _texts(self, values: Mapping[str, Any]) -> list[str]:
        return [as_text(lookup(values, column)) or "" for column in self.columns]

    def _joined(self, texts: Sequence[str]) -> str:
        parts = [self.pieces[0]]
        for text, literal in zip(texts, self.pieces[1:], strict=True):
            parts += (text, literal)
        return "".join(parts)


def parse_template(text: str) -> Template:
    """Return the template; DataError for a brace that neither opens a column nor is doubled."""
    literals, columns = [""], list[str]()
    try:
        for piece, is_column in pieces(text):
            if is_column:
                columns.append(piece)
                literals.append("")
            else:
                literals[-1] += piece
    except TemplateError as error:
        raise DataError.one("D302", str(error), path="task.input", hint=error.hint) from None
    return Template(pieces=tuple(literals), columns=tuple(columns))


def lookup(values: Mapping[str, Any], path: str) -> Any:
    """Return the value at a column, or at a dotted path; below null there is null. `MissingColumnError` for none."""
    if path in values:
        return values[path]
    value: Any = values
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif value is None:
            return None
        else:
            raise MissingColumnError(path)
    return value


def found_at(values: Mapping[str, Any], path: str, default: object = None) -> Any:
    try:
        return lookup(values, path)
    except MissingColumnError:
        return default


def as_text(value: object) -> str | None:
    """Return the text of a value, None for null and NaN; `UnusableValueError` for other types."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        # Without `allow_nan=False`, a NaN within a list would be written as a word that JSON does not have.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        kind = type(value).__name__
        raise UnusableValueError(f"`{kind}` values have no text form") from error


_NOTHING: Final = object()
_WORDS_OF_A_TEXT: Final = 6
"""No column has a name of so many words."""
NO_HEADER: Final = (
    "the first line looks like a row: if it is one, name the columns with `header: [NAME, …]`"
)


def has_column(values: Mapping[str, Any], column: str) -> bool:
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
    """Tell whether a table's first line looks like a row: it has a text, or one label of the task."""
    if format_of(file) not in DELIMITERS:
        return False
    has_text = any(len(name.split()) >= _WORDS_OF_A_TEXT for name in names)
    return has_text or len(set(names).intersection(labels)) == 1 < len(labels)
