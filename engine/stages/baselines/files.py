"""A baseline that llama.cpp answers: a GGUF file, asked by its own chat template."""

from __future__ import annotations

from pathlib import Path

from engine.recipe.prompt import answer_text, parse_answer
from engine.stages.answering import asked_turns, predicted
from engine.stages.base import Progress
from engine.stages.baselines.said import Answered, Question


def ask_file(
    gguf: Path, question: Question, *, threads: int, aside: Path, progress: Progress
) -> Answered:
    """Return what the file says to every row. EnvironmentProblem X640, StageError X602, X634, X641."""
    from engine.runtime.gguf_chat import load_gguf_chat  # noqa: PLC0415 - brings transformers
    from engine.runtime.llama import choose_gguf  # noqa: PLC0415 - only where a file is asked

    chat, task, rows = load_gguf_chat(gguf), question.task, question.fold.judged
    labels = [answer_text(task, label) for label in task.labels]
    is_choice = task.kind == "classification"
    longest = task.max_new_tokens or question.longest_answer()
    said = choose_gguf(
        gguf,
        [
            chat.prompt(asked_turns(task, row, own))
            for row, own in zip(rows, question.shots, strict=True)
        ],
        [label + chat.terminator for label in labels] if is_choice else [],
        threads=threads,
        workdir=aside,
        progress=progress,
        max_new_tokens=0 if is_choice else longest,
    )
    facts = {"version": said.version, "bytes": gguf.stat().st_size, "constrained": is_choice}
    if not is_choice:
        predictions = [
            predicted(row, label=parse_answer(task, text), text=text)
            for row, text in zip(rows, said.texts, strict=True)
        ]
        return Answered(predictions=predictions, facts=facts)
    predictions = [
        predicted(
            row,
            label=task.labels[choice.index],
            text=labels[choice.index],
            probability=choice.probability,
        )
        for row, choice in zip(rows, said.choices, strict=True)
    ]
    return Answered(predictions=predictions, facts=facts)
