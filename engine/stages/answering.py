"""Asking a model, or the SVM, for the label of every row; shared by the stages that judge. Not a stage.

Constrained decoding lets the model say nothing but one of the labels: every classifier is measured
by it, with or without fine-tuning. Free decoding shows what the model says when nothing holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.data.example import Example
from engine.metrics.predictions import Prediction
from engine.recipe.model import Task
from engine.recipe.prompt import answer_text, messages, parse_answer
from engine.stages.base import Progress

if TYPE_CHECKING:
    from engine.runtime.models import LoadedModel

REVISION = 1
"""Bumped when the same model and rows would now give other predictions."""

SPARE_TOKENS = 8
"""Free answers may be this much longer than the longest label before they are cut off."""

FILE = "predictions.jsonl"
"""In every `predictions` product."""


def task_slice(task: Task) -> dict[str, Any]:
    """Return the part of the task that a prompt or an answer depends on, besides the rows."""
    return {
        "kind": task.kind,
        "instruction": task.instruction,
        "system": task.system,
        "labels": list(task.labels),
        "output": task.output,
    }


def constrained(
    loaded: LoadedModel,
    task: Task,
    examples: Sequence[Example],
    *,
    progress: Progress,
    shots: Sequence[tuple[str, str]] = (),
) -> list[Prediction]:
    """Return the label that greedy decoding picks when it may say nothing but a label.

    `shots`, (text, label), stand before each row as answered questions.
    """
    from engine.runtime.predict import choose  # noqa: PLC0415 - brings torch

    said = [answer_text(task, label) for label in task.labels]
    prompts = [loaded.chat.prompt(messages(task, row.input, shots)) for row in examples]
    answers = [text + loaded.chat.terminator for text in said]
    choices = choose(loaded, prompts, answers, progress=progress) if prompts else []
    return [
        Prediction(
            id=row.id,
            target=row.target,
            label=task.labels[choice.index],
            text=said[choice.index],
            probability=choice.probability,
        )
        for row, choice in zip(examples, choices, strict=True)
    ]


def free(
    loaded: LoadedModel, task: Task, examples: Sequence[Example], *, progress: Progress
) -> list[Prediction]:
    """Return what greedy decoding says by itself, and the label that is, if it is one."""
    from engine.runtime.predict import generate  # noqa: PLC0415 - brings torch

    longest = max(
        len(loaded.chat.token_ids(answer_text(task, label) + loaded.chat.terminator))
        for label in task.labels
    )
    prompts = [loaded.chat.prompt(messages(task, row.input)) for row in examples]
    texts = generate(loaded, prompts, max_new_tokens=longest + SPARE_TOKENS, progress=progress)
    return [
        Prediction(
            id=row.id,
            target=row.target,
            label=parse_answer(task, text),
            text=text,
            probability=None,
        )
        for row, text in zip(examples, texts, strict=True)
    ]


def said(examples: Sequence[Example], labels: Sequence[str]) -> list[Prediction]:
    """Return the predictions of something that only says labels, one for each row."""
    return [
        Prediction(id=row.id, target=row.target, label=label, text=label, probability=None)
        for row, label in zip(examples, labels, strict=True)
    ]


def svm(train: Sequence[Example], examples: Sequence[Example], *, seed: int) -> list[Prediction]:
    """Return what the classical classifier, trained on `train`, says. StageError G510."""
    from engine.runtime.svm import tfidf_svm  # noqa: PLC0415 - brings scikit-learn

    if not examples:
        return []
    texts, labels = [row.input for row in train], [row.target for row in train]
    return said(examples, tfidf_svm(texts, labels, [row.input for row in examples], seed=seed))
