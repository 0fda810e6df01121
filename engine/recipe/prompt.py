"""What the model is asked and what counts as an answer.

The same text in training, evaluation and the exported file. Turning messages into tokens
is the chat template's business (`engine.runtime.chat`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine.recipe.model import Task

LABELS_TOKEN = "{labels}"  # noqa: S105 - a placeholder of the instruction, not a secret
JSON_KEY = "label"


def messages(task: Task, text: str, shots: Sequence[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """Return the chat that asks for the label of `text`.

    A system message stands first when the task has one. Each shot, (text, label), becomes a user
    and an assistant turn before the last user turn, phrased like the real question and answer.
    """
    chat = [{"role": "system", "content": task.system}] if task.system else []
    for shot_text, label in shots:
        chat.append({"role": "user", "content": question(task, shot_text)})
        chat.append({"role": "assistant", "content": answer_text(task, label)})
    chat.append({"role": "user", "content": question(task, text)})
    return chat


def question(task: Task, text: str) -> str:
    """Return one user turn: the instruction, a blank line, the text."""
    instruction = task.instruction.replace(LABELS_TOKEN, ", ".join(task.labels))
    return f"{instruction}\n\n{text}" if instruction else text


def answer_text(task: Task, label: str) -> str:
    """Return what the assistant says for `label`, without the turn's terminator."""
    if task.output == "json":
        return json.dumps({JSON_KEY: label}, ensure_ascii=False)
    return label


def parse_answer(task: Task, text: str) -> str | None:
    """Return the label that `text` states, or None when it is not exactly an answer.

    Surrounding whitespace is ignored and nothing else: `Positive`, `positive.` and prose around a
    label are not answers, since a program that reads the output would not accept them either.
    """
    answer = text.strip()
    if task.output == "json":
        return _parse_json(answer, task.labels)
    return answer if answer in task.labels else None


def _parse_json(answer: str, labels: Sequence[str]) -> str | None:
    try:
        value = json.loads(answer, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or list(value) != [JSON_KEY]:
        return None
    label = value[JSON_KEY]
    return label if isinstance(label, str) and label in labels else None


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found
