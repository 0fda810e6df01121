"""A baseline that llama.cpp answers: a GGUF file, asked by its own chat template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.inference.baselines.values import BaselinePredictions, Question
from engine.inference.predict import asked_turns, predicted
from engine.kinds import AnswerForm
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.answer_grammar import answer_grammar
from engine.recipe.prompt import answer_text, parse_answer

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

    chat, task, rows = load_gguf_chat(gguf), question.task, question.fold.judged
    is_choice = task.spec.answer is AnswerForm.LABEL
    grammar = "" if is_choice else answer_grammar(task) or ""
    longest = question.longest_answer() // (1 if grammar else PROSE_BYTES)
    room = task.max_new_tokens or longest + SPARE_TOKENS
    request = Request(
        prompts=[
            chat.prompt(asked_turns(task, row, own))
            for row, own in zip(rows, question.shots, strict=True)
        ],
        # a file of others is asked as its users ask it: with the special tokens that it names
        adds_special=True,
        answers=[text + chat.terminator for text in _choices(question)],
        distribution=is_choice,
        grammar=grammar,
        grammar_tokens=room if grammar else 0,
        max_new_tokens=0 if is_choice or grammar else room,
        terminator=chat.terminator,
    )
    answers = ask_gguf(gguf, request, threads=threads, workdir=work_dir, progress=progress)
    facts = {"version": answers.version, "bytes": gguf.stat().st_size}
    return BaselinePredictions(predictions=_predictions(question, answers), facts=facts)


def _choices(question: Question) -> list[str]:
    """Return all answers of a classification, in its form of output."""
    task = question.task
    if task.spec.answer is not AnswerForm.LABEL:
        return []
    return [answer_text(task, label) for label in task.labels]


def _predictions(question: Question, answers: GgufAnswers) -> list[Prediction]:
    task, rows = question.task, question.fold.judged
    if choices := _choices(question):
        return [
            predicted(
                row,
                label=task.labels[choice.index],
                text=choices[choice.index],
                probability=choice.probability,
                probabilities=choice.probabilities,
            )
            for row, choice in zip(rows, answers.choices, strict=True)
        ]
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
