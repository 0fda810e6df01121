"""A model's answers to rows without labels, as training rows: read as the answers of a file are."""

from __future__ import annotations

from collections.abc import Callable

from engine.data.examples.example import Example, content_id
from engine.data.kinds import filler
from engine.data.kinds.base import RejectedError
from engine.kinds import AnswerForm
from engine.recipe.model import AnswerSpec, Data, LabelSpec, Task
from engine.recipe.prompt import SEPARATOR, split_labels
from engine.values import replace

Answered = Callable[[Example, str], Example | None]
"""A row and its answer to a training row; None for an answer that does not fit the task."""
_INPUT, _ANSWER = "input", "answer"


def answered_rows(task: Task, data: Data) -> Answered:
    """Return what makes a training row of a row and an answer (`parse_answer`), for tasks whose answers have a form."""
    fill = filler(
        replace(task, input=f"{{{_INPUT}}}"),
        replace(
            data,
            label=LabelSpec(column=_ANSWER, relabel=(), bins=(), separator=SEPARATOR.strip()),
            answer=AnswerSpec(column=_ANSWER, references=(), fields=(), spans=None, tags=None),
        ),
        "columns",
    )
    has_several = task.spec.answer is AnswerForm.LABELS

    def answered(row: Example, answer: str) -> Example | None:
        value = split_labels(answer) if has_several else answer
        try:
            filled = fill({_INPUT: row.input, _ANSWER: value})
        except RejectedError:
            return None
        return replace(
            row,
            id=content_id(row.input, filled.target),
            target=filled.target,
            labels=filled.labels,
            payload=filled.payload,
        )

    return answered
