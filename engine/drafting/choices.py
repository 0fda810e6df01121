"""What the task is taken to be, and what the user fixed of it."""

from __future__ import annotations

from typing import Any, Final

from engine.drafting.objects import Spans, TurnColumns
from engine.recipe.model import Reference
from engine.values import Value

CHOSEN: Final = "you chose it"


class Guess(Value):
    """What the task is taken to be, and why."""

    kind: str
    why_kind: str
    text: str = ""
    """Column of the text; empty where the shape of the rows says it."""
    why_text: str = ""
    label: str = ""
    """Column of the label or answer."""
    why_label: str = ""
    fields: tuple[str, ...] = ()
    """Extraction: the columns that are parts of the text."""
    spans: Spans | None = None
    turns: TurnColumns | None = None
    """Chat: where the turns are, where the rows have no usual shape."""
    shape: str = ""
    separator: str = ""
    """Multilabel: what divides the labels in one text; empty for lists."""
    inputs: tuple[str, ...] = ()
    """Columns that are the text together; empty where `text` is all of it."""
    system: str = ""
    """The system message that all rows share."""
    instruction: str = ""
    """The question that all rows ask in the same words."""
    properties: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Extraction: the schema of the objects in the column of the answer, by field."""
    pair: tuple[str, ...] = ()
    """Preference: columns of the prompt, the chosen and the rejected answer."""
    split: str = ""
    """The column that says which split a row belongs to."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of the text."""
        return self.inputs or ((self.text,) if self.text else ())

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that every row must have; fields of an answer may be absent."""
        is_object = bool(self.fields or self.spans or self.properties)
        label = () if is_object or not self.label else (self.label,)
        return (*self.texts, *self.pair, *label)


class DraftOptions(Value):
    """What the user fixed on the command line instead of leaving it to a guess."""

    kind: str = ""
    text: str = ""
    label: str = ""
    base_model: Reference | None = None
    encoding: str = "utf-8"
