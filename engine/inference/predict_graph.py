"""The holdout put to an exported graph, by the runtime and the tokenizer that its users have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.examples.example import Example
from engine.inference.cached import Predictions
from engine.inference.predict import (
    PredictionInputs,
    asked_turns,
    choice_predictions,
    predicted,
)
from engine.inference.predict_gguf import same_readings
from engine.progress import Progress
from engine.recipe.model import ONNX
from engine.recipe.prompt import answer_text

if TYPE_CHECKING:
    from engine.runtime.graph.client import Graph
    from engine.runtime.rendering.chat import Chat


REVISION = 1
"""Bumped when the same graph and rows would now give other answers."""


def ask(
    graph: Graph,
    asked: PredictionInputs,
    rows: Sequence[Example],
    *,
    chat: Chat,
    workdir: Path,
    progress: Progress,
) -> Predictions:
    """Return the most probable label of each row, and how the tokenizer beside the graph reads the prompts.

    `chat` is the merged model's. EnvironmentProblem X814, StageError X816.
    """
    from engine.runtime.graph.client import ask_graph  # only where a graph is asked

    task = asked.task
    prompts = [chat.prompt(asked_turns(task, row)) for row in rows]
    answers = ask_graph(
        graph,
        prompts,
        [answer_text(task, label) + chat.terminator for label in task.labels],
        workdir=workdir,
        progress=progress,
    )
    own = [chat.token_ids(prompt) for prompt in prompts]
    silent = [predicted(row) for row in rows]
    judged = choice_predictions(task, rows, answers.choices) if answers.is_finite else silent
    facts = {"parity": {ONNX: same_readings(rows, own, answers.token_ids)}}
    return Predictions(judged=judged, free=[], facts={**facts, "is_finite": answers.is_finite})
