"""What a reader makes of a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from engine.recipe.model import Data, Task
from engine.values import Value, field

Values = Mapping[str, Any]
"""A row of a file: its values by column."""


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
    """Return the error of a row that is not laid out as its shape, the recipe or the schema says."""
    return RejectedError("schema_violations", what)


Fill = Callable[[Values], Filled]
"""Raises `MissingColumnError`, `UnusableValueError` (`engine.data.examples.template`), `NoNumberError`,
`NoBinError` (`engine.data.examples.label`) or `RejectedError`."""


class RowReader(Protocol):
    """A module in `engine.data.kinds`."""

    def filler(self, task: Task, data: Data, shape: str) -> Fill:
        """Return what turns rows of that shape into `Filled`; `shape` is never `auto`."""
