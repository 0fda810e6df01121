"""What the model is asked to do: `task`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.kinds import KINDS, Kind
from engine.recipe.model.references import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the model is asked to do."""

    kind: str
    """A name of `engine.kinds.KINDS`; `spec` says what is known of it."""
    instruction: str
    """What is asked, before the text; empty for chat, text and preference."""
    system: str
    """System message; empty for none (the chat template's own default then applies)."""
    input: str
    """Template over a row's columns: `{column}` or `{a.dotted.1.path}`; `{{` and `}}` are literal.

    Empty where the shape of the rows says what is read: chat, preference, generation without
    `data.answer`.
    """
    labels: tuple[str, ...]
    """Classification and multilabel; empty elsewhere."""
    schema: Json
    """Extraction: the JSON Schema of an answer, None elsewhere."""
    output: Literal["text", "json"]
    out_of_scope: str = ""
    """Classification: the label that means that no other one fits; empty for none."""
    answer_pattern: str = ""
    """Generation: what its last match holds is the answer; empty for the whole text."""
    max_new_tokens: int = 0
    """Of an answer when a model is asked; 0 for the longest training answer and a few more."""

    @property
    def spec(self) -> Kind:
        """What is known of the task's kind; KeyError for a name that is none."""
        return KINDS[self.kind]
