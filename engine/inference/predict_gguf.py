"""Asking a GGUF file for the answer to every row, as `predict` asks a transformers model.

Beside the answers it gathers what shows that the file reads what training read: token ids in four places,
the chat templates in the file and in the Modelfile, and the prompts as the file's users send them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.examples.example import Example
from engine.errors import StageError
from engine.inference.cached import Predictions
from engine.inference.predict import (
    PredictionInputs,
    asked_turns,
    choice_predictions,
    likelihood_predictions,
    predicted,
)
from engine.inference.template_check import is_plain
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.conversation import conversation
from engine.recipe.prompt import parse_answer

if TYPE_CHECKING:
    from engine.runtime.llama.client import GgufAnswers, Request
    from engine.runtime.rendering.chat import Chat
    from engine.runtime.rendering.renderer import RenderedRow

REVISION = 4
"""Bumped when the same file and rows would now give other predictions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFile:
    """A GGUF file, its chat template, and where it is run."""

    path: Path
    chat: Chat
    """Of the merged model."""
    modelfile: str
    """Text of the Modelfile that runs it; empty for none."""
    threads: int
    workdir: Path
    progress: Progress

    def ask(self, request: Request) -> GgufAnswers:
        """Return what llama.cpp answers with this file."""
        from engine.runtime.llama.client import ask_gguf  # only where a file is asked

        return ask_gguf(
            self.path, request, threads=self.threads, workdir=self.workdir, progress=self.progress
        )


def ask(
    file: GgufFile, asked: PredictionInputs, examples: Sequence[Example], *, free: bool
) -> Predictions:
    """Return what the file is judged by and, where `free`, what it says when nothing holds it."""
    from engine.runtime.llama.client import Request  # only where a file is asked

    if asked.task.spec.by_likelihood:
        return _likelihoods(file, asked, examples)
    turns = [asked_turns(asked.task, row) for row in examples]
    prompts = [file.chat.prompt(one) for one in turns]
    ollama, sent = _ollama(file.modelfile, turns), _by_the_file(file, turns)
    request = Request.for_task(
        asked.task,
        prompts,
        terminator=file.chat.terminator,
        room=asked.room(file.chat),
        free=free,
        distribution=True,
        read=ollama or [],
        sent=sent,
    )
    answers = file.ask(request)
    ids = [file.chat.token_ids(prompt) for prompt in prompts]
    if not answers.is_finite:
        silent = [predicted(row) for row in examples]
        facts = _facts(answers, {"llama_cpp": _same(examples, ids, answers.token_ids)})
        return Predictions(chosen=silent, free=silent, facts=facts)
    loose = [
        _generate(asked, row, text, ended=ended)
        # nothing comes back of what was not asked for
        for row, text, ended in zip(
            examples, answers.texts, answers.ended, strict=bool(answers.texts)
        )
    ]
    chosen = _held(asked, examples, answers) if asked.task.spec.is_constrained else loose
    trained = _trained_ids(file.chat, asked, examples)
    # Pairs of readings that go wrong one by one: the pre-tokenizer of the file, its template and
    # the Modelfile's, the tokens that it adds by itself.
    parity = {
        "training": _same(examples, ids, trained),
        "llama_cpp": _same(examples, ids, answers.token_ids),
        "ollama": None if ollama is None else _same(examples, ids, answers.read),
        "template": _same(examples, prompts, sent),
        "users": _same(examples, trained, answers.sent),
    }
    free_text = loose if asked.task.spec.is_constrained else []
    return Predictions(chosen=chosen, free=free_text, facts=_facts(answers, parity))


def _facts(answers: GgufAnswers, parity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept beside the answers; a damaged file gives none."""
    known = {"is_ended": answers.is_ended} if answers.is_finite else {"is_finite": False}
    return {"version": answers.version, "parity": parity, **known}


def _held(
    asked: PredictionInputs, examples: Sequence[Example], answers: GgufAnswers
) -> list[Prediction]:
    """Return the answers that were held to the task's form."""
    if answers.choices:
        return choice_predictions(asked.task, examples, answers.choices)
    return [
        predicted(
            row,
            label=parse_answer(asked.task, bound.text) if bound.finished else None,
            text=bound.text,
            probability=bound.probability,
        )
        for row, bound in zip(examples, answers.constrained, strict=True)
    ]


def _generate(asked: PredictionInputs, row: Example, text: str, *, ended: bool) -> Prediction:
    label = parse_answer(asked.task, text) if ended or not asked.task.spec.is_constrained else None
    return predicted(row, label=label, text=text, ended=ended)


def _likelihoods(
    file: GgufFile, asked: PredictionInputs, examples: Sequence[Example]
) -> Predictions:
    """Return how probable what would be learned of each row is, in the form that training reads."""
    from engine.runtime.llama.client import LearnedRow, Request  # only where a file is asked
    from engine.runtime.scoring.likelihood import Likelihood, token_row  # brings torch

    renderer = asked.renderer(file.chat)
    made = [renderer.render(row) for row in examples]
    parts = [one.segments for rows in made for one in rows]
    tokens = [token_row(file.chat, segments) for segments in parts]
    texts = [segment.text for segments in parts for segment in segments]
    learned = [
        LearnedRow(ids=row.ids, learned=[int(flag) for flag in row.learned]) for row in tokens
    ]
    expected, asked_by_users = _sent(file, asked, examples, made)
    plain = _ollama_of_plain(file, asked, examples)
    request = Request(
        prompts=texts,
        learned=learned,
        terminator=renderer.ending,
        read=[text for _, text, _ in plain],
        sent=asked_by_users,
    )
    answers = file.ask(request)
    owners = [
        row for row, rows in zip(examples, made, strict=True) for one in rows for _ in one.segments
    ]
    ids = [file.chat.token_ids(text) for text in texts]
    parity: dict[str, Any] = {"llama_cpp": _same(owners, ids, answers.token_ids)}
    if not answers.is_finite:
        silent = [predicted(row) for row in examples]
        return Predictions(chosen=silent, free=[], facts=_facts(answers, parity))
    # nothing stands before the first token, so nothing predicts it
    found = [
        Likelihood(nll=nll, tokens=sum(row.learned[1:]), ends=ends)
        for row, nll, ends in zip(tokens, answers.likelihoods, answers.ended, strict=True)
    ]
    by_users = [file.chat.token_ids(text) for text in expected]
    by_ollama = [file.chat.token_ids(prompt) for _, _, prompt in plain]
    has_turns = asked.task.spec.has_turns
    parity = {
        "training": None,
        **parity,
        "ollama": _same([row for row, _, _ in plain], by_ollama, answers.read) if plain else None,
        "template": _same(examples, expected, asked_by_users) if has_turns else None,
        "users": _same(examples, by_users, answers.sent),
    }
    chosen = likelihood_predictions(examples, made, found)
    return Predictions(chosen=chosen, free=[], facts=_facts(answers, parity))


def _sent(
    file: GgufFile,
    asked: PredictionInputs,
    examples: Sequence[Example],
    made: Sequence[Sequence[RenderedRow]],
) -> tuple[list[str], list[str]]:
    """Return the beginning of each row as training reads it, and as users of the file send it.

    Of a conversation that is what asks for its last answer; of a document all before its end.
    """
    if asked.task.spec.has_turns:
        conversations = [
            conversation(asked.task, input=row.input, target=row.target, payload=row.payload)
            for row in examples
        ]
        turns, tools = [one.asked for one in conversations], [one.tools for one in conversations]
        own = [file.chat.prompt(*one) for one in zip(turns, tools, strict=True)]
        return own, _by_the_file(file, turns, tools)
    texts = [rows[0].answer.removesuffix(file.chat.terminator) for rows in made]
    return [f"{rows[0].prompt}{text}" for rows, text in zip(made, texts, strict=True)], texts


def _ollama_of_plain(
    file: GgufFile, asked: PredictionInputs, examples: Sequence[Example]
) -> list[tuple[Example, str, str]]:
    """Return the conversations that a Modelfile has a form for: as it writes them, and as training does."""
    if not asked.task.spec.has_turns or not file.modelfile:
        return []
    turns = [(row, asked_turns(asked.task, row)) for row in examples]
    # Ollama's own templates are not the chat template: of tools and their calls a Modelfile of
    # ours says nothing
    plain = [(row, one) for row, one in turns if is_plain(one) and not row.payload.get("tools")]
    written = _ollama(file.modelfile, [one for _, one in plain]) or []
    return [
        (row, text, file.chat.prompt(one)) for (row, one), text in zip(plain, written, strict=True)
    ]


def _trained_ids(
    chat: Chat, asked: PredictionInputs, examples: Sequence[Example]
) -> list[list[int]]:
    """Return the tokens that stand before the last answer of each row as training reads it."""
    renderer = asked.renderer(chat)
    found = []
    for row in examples:
        *before, _ = renderer.render(row)[-1].segments
        found.append([token for part in before for token in chat.token_ids(part.text)])
    return found


def _ollama(modelfile: str, turns: Sequence[Sequence[Mapping[str, Any]]]) -> list[str] | None:
    """Return what the Modelfile's template writes for each row; None without one."""
    if not modelfile:
        return None
    from engine.exporters.go_template import render, template_of

    template = template_of(modelfile)
    return [render(template, one) for one in turns]


def _by_the_file(
    file: GgufFile,
    turns: Sequence[Sequence[Mapping[str, Any]]],
    tools: Sequence[Sequence[Mapping[str, Any]]] = (),
) -> list[str]:
    """Return the prompts as the chat template and the special tokens in the file write them; "" without one."""
    from engine.runtime.llama.chat import file_tokenizer  # brings transformers

    tokenizer = file_tokenizer(file.path)
    if not tokenizer.chat_template:
        return ["" for _ in turns]
    own = replace(file.chat, tokenizer=tokenizer)
    offered = tools or [()] * len(turns)
    return [_written(own, one, more) for one, more in zip(turns, offered, strict=True)]


def _written(
    chat: Chat, turns: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> str:
    """Return a prompt, or "" where the template refuses the turns."""
    try:
        return chat.prompt(turns, tools)
    except StageError:
        return ""


def _same(
    rows: Sequence[Example], one: Sequence[Any], two: Sequence[Any]
) -> dict[str, int | str | None]:
    """Count the rows on which two readings are equal, and name the first that differs."""
    different = [row.id for row, a, b in zip(rows, one, two, strict=True) if a != b]
    return {
        "same": len(rows) - len(different),
        "of": len(rows),
        "first_different": different[0] if different else None,
    }
