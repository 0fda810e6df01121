"""A baseline that a transformers model answers: the recipe's base model untouched, or another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.examples.example import Example
from engine.inference.baselines.values import BaselinePredictions, Question
from engine.inference.cached import Stopwatch
from engine.inference.predict import (
    PredictionInputs,
    Shot,
    asked_turns,
    choice_predictions,
    judged,
    predicted,
)
from engine.kinds import Decoding
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.prompt import parse_answer
from engine.runtime.rendering.windows import WINDOWS

if TYPE_CHECKING:
    from engine.runtime.llama.client import GgufAnswers
    from engine.runtime.models.load import LoadedModel

SPARE_TOKENS = 8
"""An answer may have so many tokens more than the longest right one, as far as bytes tell."""
PROSE_BYTES = 2
"""Bytes of a token of prose, at least; of labels and JSON, 1."""


def ask_file(
    gguf: Path, question: Question, *, threads: int, work_dir: Path, progress: Progress
) -> BaselinePredictions:
    """Return what the file says to every row. EnvironmentProblem X640, StageError X602, X634, X641."""
    from engine.runtime.llama.chat import load_gguf_chat  # brings transformers
    from engine.runtime.llama.client import Request, ask_gguf  # only where a file is asked

    chat, task = load_gguf_chat(gguf), question.task
    is_prose = task.spec.decoding is not Decoding.GRAMMAR
    longest = question.longest_answer() // (PROSE_BYTES if is_prose else 1)
    request = Request.for_task(
        task,
        [chat.prompt(turns) for turns in question.turns()],
        terminator=chat.terminator,
        max_new_tokens=task.max_new_tokens or longest + SPARE_TOKENS,
        # a file of others is asked as its users ask it: with the special tokens that it names
        adds_special=True,
        distribution=True,
    )
    answers = ask_gguf(gguf, request, threads=threads, workdir=work_dir, progress=progress)
    facts = {"version": answers.version, "bytes": gguf.stat().st_size}
    return BaselinePredictions(predictions=_predictions(question, answers), facts=facts)


def _predictions(question: Question, answers: GgufAnswers) -> list[Prediction]:
    task, rows = question.task, question.fold.judged
    if task.spec.decoding is Decoding.LABEL_SCORING:
        return choice_predictions(task, rows, answers.choices)
    if answers.constrained:
        return [
            predicted(
                row,
                label=parse_answer(task, bound.text),
                text=bound.text,
                probability=bound.probability,
            )
            for row, bound in zip(rows, answers.constrained, strict=True)
        ]
    return [
        predicted(row, label=parse_answer(task, text), text=text)
        for row, text in zip(rows, answers.texts, strict=True)
    ]


def ask_model(
    loaded: LoadedModel, question: Question, *, progress: Progress
) -> BaselinePredictions:
    """Return what the model says, held to the form that the tuned one is held to.

    Shots that find no room in the model's window are left out, the least near first.
    """
    asked, rows, shots = question.asked, question.fold.judged, question.shots
    kept = [_fitting(loaded, asked, row, own) for row, own in zip(rows, shots, strict=True)]
    watch = Stopwatch(kind=loaded.model.device.type)
    predictions = judged(loaded, asked, rows, progress=progress, shots=kept)
    cut = sum(len(fitting) < len(own) for fitting, own in zip(kept, shots, strict=True))
    facts: dict[str, Any] = {
        "parameters": int(loaded.model.num_parameters()),
        "bytes": int(loaded.model.get_memory_footprint()),
        "asked_seconds": round(watch.seconds(), 4),
    }
    if cut:
        facts["remarks"] = [f"{cut} of {len(rows)} rows had no room for all shots"]
    return BaselinePredictions(predictions=predictions, facts=facts)


def _fitting(
    loaded: LoadedModel, asked: PredictionInputs, row: Example, shots: Sequence[Shot]
) -> Sequence[Shot]:
    # models that also read images keep it in an inner configuration
    text = loaded.model.config.get_text_config()
    lengths = (getattr(text, name, None) for name in WINDOWS)
    window = next((length for length in lengths if isinstance(length, int)), None)
    if not shots or window is None or asked.task.spec.by_likelihood:
        return shots
    most = window - asked.max_new_tokens(loaded.chat)
    kept, chat = list(shots), loaded.chat
    while kept and len(chat.token_ids(chat.prompt(asked_turns(asked.task, row, kept)))) > most:
        kept = kept[1:]
    return kept
