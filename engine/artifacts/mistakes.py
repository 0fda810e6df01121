"""The validation rows that the tuned model answers wrongly."""

from collections.abc import Iterator
from difflib import SequenceMatcher

from engine.artifacts.results import Artifacts
from engine.data.examples.example import iter_examples
from engine.data.examples.turns import turn_texts
from engine.evidence import Mistake
from engine.kinds import AnswerForm
from engine.metrics.families.fields import answer_in, is_right, leaves_of
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe.metrics import leaves
from engine.recipe.model import Task
from engine.recipe.prompt import read_object
from engine.render.styled_text import crop
from engine.store import Artifact
from engine.values import replace

_COMPARED = 200
_FIRST, _LONGEST = 20, 280
"""Rows that a report shows, and columns of their texts."""


def first_wrong_rows(artifacts: Artifacts, task: Task) -> tuple[Mistake, ...]:
    if "evaluate" not in artifacts or not task.spec.right_share:
        return ()
    found = wrong_rows(artifacts["evaluate"], artifacts["data"], task)[:_FIRST]
    return tuple(
        replace(
            row,
            text=crop(row.text, _LONGEST),
            expected=crop(row.expected, _LONGEST),
            answer=crop(row.answer, _LONGEST),
            differs=(crop("; ".join(row.differs), _LONGEST),) if row.differs else (),
        )
        for row in found
    )


def wrong_rows(answers: Artifact, data: Artifact, task: Task) -> list[Mistake]:
    """Return the wrong rows, the most confident first, then those least like what was expected.

    `answers` is what `evaluate` left; the kind has right and wrong rows.
    """
    found = read_predictions(answers.file("predictions.validation.jsonl"))
    wrong = {row.id: row for row in found if not _is_right(row, task)}
    mistakes = []
    for example in iter_examples(data.file("validation.jsonl")):
        if (row := wrong.get(example.id)) is None:
            continue
        answer = row.text if row.label is None else row.label
        if task.spec.by_likelihood:
            answer = turn_texts(example.payload.get("rejected", ()))
        mistake = Mistake(
            id=row.id,
            origin=example.origin,
            text=example.input,
            expected=row.target or example.target,
            answer=answer,
            confidence=row.probability,
            differs=tuple(_differences(row, task)),
        )
        mistakes.append(mistake)

    def order(row: Mistake) -> tuple[float, float, str]:
        one, other = (text.split()[:_COMPARED] for text in (row.expected, row.answer))
        alike = 0.0 if row.confidence is not None else SequenceMatcher(None, one, other).ratio()
        return -(row.confidence or 0.0), alike, row.origin

    return sorted(mistakes, key=order)


def _is_right(row: Prediction, task: Task) -> bool:
    if task.spec.by_likelihood:
        return row.margin is not None and row.margin > 0
    if task.spec.answer is AnswerForm.TEXT and (pattern := task.answer_pattern):
        stated = None if row.label is None else answer_in(row.text, pattern)
        known = (answer_in(text, pattern) for text in (row.target, *row.references))
        return stated is not None and stated in known
    return is_right(row)


def _differences(row: Prediction, task: Task) -> Iterator[str]:
    if row.label is not None and task.spec.answer is AnswerForm.OBJECT:
        known = leaves(task.schema)
        one, other = (leaves_of(read_object(text) or {}, known) for text in (row.target, row.label))
        for field in dict.fromkeys(name for name, _ in (*(one - other), *(other - one))):
            sides = (
                [text for name, text in x if name == field] for x in (one - other, other - one)
            )
            yield f"{field}: {' → '.join(', '.join(side) or 'nothing' for side in sides)}"
