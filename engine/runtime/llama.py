"""A GGUF file run by llama.cpp, as the people who get it will run it: constrained and free answers.

Each call is one process of `engine.runtime.llama_worker`; a crash of llama.cpp is a StageError with
its last words, not the end of the run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.environment import version_of
from engine.errors import EnvironmentProblem, StageError
from engine.recipe.prompt import parse_answer
from engine.runtime.task_file import TaskFile, read_task_file
from engine.runtime.tool_process import run_module
from engine.runtime.trie import Choice
from engine.sources.contract import Progress

WORKER = "engine.runtime.llama_worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufChoices:
    """What a GGUF file answered."""

    choices: list[Choice]
    """By prompt; empty when no answers were given."""
    texts: list[str]
    """Free greedy text by prompt; empty unless asked for."""
    token_ids: list[list[int]]
    """Of each prompt, as llama.cpp read it."""
    version: str
    """Of llama.cpp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of an exported model."""

    label: str
    """The most probable label."""
    probability: float
    """Its share among the labels, 0 to 1."""
    text: str
    """What the model says when nothing constrains it."""
    is_valid: bool
    """That text is an answer of the task."""


def choose_gguf(  # noqa: PLR0913 - one request, named
    gguf: Path,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    threads: int,
    workdir: Path,
    progress: Progress,
    max_new_tokens: int = 0,
) -> GgufChoices:
    """Run the prompts through the file: one of `answers` each and, if tokens are granted, free text.

    `workdir` takes two small files, removed again. EnvironmentProblem X640 without llama.cpp, StageError X641
    when it fails.
    """
    if version_of("inferna") is None:
        raise EnvironmentProblem.one(
            "X640",
            "llama.cpp is not installed",
            hint="pip install 'slm-recipe[gguf]'",
        )
    request = {
        "gguf": str(gguf),
        "prompts": list(prompts),
        "answers": list(answers),
        "max_new_tokens": max_new_tokens,
        "threads": threads,
    }
    found = _ask(request, workdir, total=len(prompts), progress=progress)
    choices = [Choice(**item) for item in found["choices"]]
    if answers and len(choices) != len(prompts):
        raise StageError.one("X641", f"llama.cpp answered {len(choices)} of {len(prompts)} rows")
    return GgufChoices(
        choices=choices,
        texts=found["texts"],
        token_ids=found["token_ids"],
        version=found["version"],
    )


def answer_text(
    gguf: Path, text: str, *, threads: int, workdir: Path, progress: Progress
) -> Answer:
    """Return the answer of an exported model to one text, asked as in training.

    How to ask stands in `task.json` beside the file, written by the export. StageError X642 without
    it, X640 and X641 as `choose_gguf`.
    """
    task = read_task_file(gguf.parent)
    said = choose_gguf(
        gguf,
        [task.prompt(text)],
        task.answers,
        threads=threads,
        workdir=workdir,
        progress=progress,
        max_new_tokens=task.max_new_tokens,
    )
    return _answer(task, said)


def _answer(task: TaskFile, said: GgufChoices) -> Answer:
    (choice,) = said.choices
    return Answer(
        label=task.task.labels[choice.index],
        probability=choice.probability,
        text=said.texts[0],
        is_valid=parse_answer(task.task, said.texts[0]) is not None,
    )


def _ask(request: dict[str, Any], workdir: Path, *, total: int, progress: Progress) -> Any:  # noqa: ANN401 - JSON data
    asked, told = workdir / "llama-request.json", workdir / "llama-result.json"
    told.unlink(missing_ok=True)
    asked.write_text(json.dumps(request, ensure_ascii=False), encoding="utf-8")
    try:
        run_module(
            WORKER,
            [str(asked), str(told)],
            code="X641",
            tool="llama.cpp",
            on_line=lambda line: _tell(line, total, progress),
        )
        return json.loads(told.read_text(encoding="utf-8"))
    finally:
        asked.unlink(missing_ok=True)
        told.unlink(missing_ok=True)


def _tell(line: str, total: int, progress: Progress) -> None:
    if line.isdigit():
        progress.update(int(line), total, "rows")
