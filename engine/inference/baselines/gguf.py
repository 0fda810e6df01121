"""A baseline that llama.cpp answers: a GGUF file, asked by its own chat template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.inference.baselines.values import BaselinePredictions, Question
from engine.inference.predict import choice_predictions, predicted
from engine.kinds import Decoding
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.prompt import parse_answer

if TYPE_CHECKING:
    from engine.runtime.llama.client import GgufAnswers

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
