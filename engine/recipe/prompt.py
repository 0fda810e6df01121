"""What the model is asked and what counts as an answer.

The same text in training, evaluation and the exported file. Turning messages into tokens
is the chat template's business (`engine.runtime.rendering.chat`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from engine.kinds import AnswerForm
from engine.recipe.answer_json import read_object, write_object
from engine.recipe.model import Recipe, Task
from engine.recipe.template import fields

LABELS_TOKEN = "{labels}"  # noqa: S105 - a placeholder of the instruction, not a secret
JSON_KEY = "label"
JSON_LIST_KEY = "labels"
SEPARATOR = ", "
"""Between the labels of a multilabel answer."""
NO_LABEL = "none"
"""The answer of a multilabel task when no label fits."""


def messages(task: Task, text: str, shots: Sequence[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """Return the chat that asks for the answer to `text`.

    A system message stands first when the task has one. Each shot, (text, target), becomes a user
    and an assistant turn before the last user turn, phrased like the real question and answer.
    """
    chat = [{"role": "system", "content": task.system}] if task.system else []
    for shot_text, target in shots:
        chat.append({"role": "user", "content": question(task, shot_text)})
        chat.append({"role": "assistant", "content": answer_text(task, target)})
    chat.append({"role": "user", "content": question(task, text)})
    return chat


def question(task: Task, text: str) -> str:
    """Return one user turn: the instruction, a blank line, the text."""
    # Not `str.format`: other braces in an instruction stay as they are.
    instruction = task.instruction.replace(LABELS_TOKEN, ", ".join(task.labels))
    return f"{instruction}\n\n{text}" if instruction else text


def answer_text(task: Task, target: str) -> str:
    """Return what the assistant says for a target (`Example.target`), without the turn's terminator.

    Labels in the task's form of output; objects and texts stand as they are.
    """
    if task.output != "json" or not task.spec.has_labels:
        return target
    if task.spec.answer is AnswerForm.LABEL:
        return json.dumps({JSON_KEY: target}, ensure_ascii=False)
    return json.dumps({JSON_LIST_KEY: split_labels(target)}, ensure_ascii=False)


def joined_labels(task: Task, labels: Sequence[str]) -> str:
    """Return labels as one target: in the task's order, joined with commas; `none` for no label."""
    ordered = [label for label in task.labels if label in labels]
    return SEPARATOR.join(ordered) or NO_LABEL


def split_labels(target: str) -> list[str]:
    """Return the labels that `joined_labels` joined; labels hold no comma (R244)."""
    return [] if target == NO_LABEL else target.split(SEPARATOR)


def asks_partly_blank(recipe: Recipe) -> bool:
    """Tell whether rows with a blank column were trained on and judged, so that such rows are asked later, too."""
    return recipe.data.checks.empty in ("warn", "off") and len({*fields(recipe.task.input)}) > 1


def parse_answer(task: Task, text: str) -> str | None:
    """Return the target that `text` states, or None when it is not exactly an answer.

    Surrounding whitespace is ignored and nothing else: `Positive`, `positive.` and prose around a
    label are not answers, since a program that reads the output would not accept them either.
    Several labels may stand in any order, but not twice. An object is any JSON object without
    repeated keys, returned as compact JSON; whether it fits the schema is not asked here. For the
    other kinds every text is an answer except an empty one.
    """
    answer = text.strip()
    if task.spec.answer is AnswerForm.LABEL:
        label = _labelled(answer, JSON_KEY) if task.output == "json" else answer
        return label if isinstance(label, str) and label in task.labels else None
    if task.spec.answer is AnswerForm.LABELS:
        labels = _labelled(answer, JSON_LIST_KEY) if task.output == "json" else split_labels(answer)
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            return None
        if len(set(labels)) != len(labels) or not set(labels) <= set(task.labels):
            return None
        return joined_labels(task, labels)
    if task.spec.answer is AnswerForm.OBJECT:
        found = read_object(answer)
        return None if found is None else write_object(found, task.schema)
    return answer or None


def answer_value(task: Task, answer: str) -> Any:
    """Return what `parse_answer` gave as data: a list of labels, an object, or the text that it is."""
    if task.spec.answer is AnswerForm.LABELS:
        return split_labels(answer)
    return json.loads(answer) if task.spec.answer is AnswerForm.OBJECT else answer


def _labelled(answer: str, key: str) -> object:
    """Return the value of an object with that one key; None for anything else."""
    found = read_object(answer)
    return found[key] if found is not None and list(found) == [key] else None


def unnamed_labels(labels: Sequence[str], text: str) -> list[str]:
    """Return the labels that a text does not name: a sentence names the label `not_spam` as "not spam"."""
    asked = _loose(text)
    return [label for label in labels if _loose(label) not in asked]


def _loose(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())
