"""Asking a GGUF file for the answer to every row, as `predict` asks a transformers model.

Beside the answers it gathers what shows that the file reads what training read: token ids in four places,
the chat templates in the file and in the Modelfile, and the prompts as the file's users send them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.examples.example import Example
from engine.errors import StageError
from engine.inference.cached import Predictions
from engine.inference.predict import PredictionInputs, asked_turns, predicted
from engine.inference.template_check import is_plain
from engine.kinds import Decoding
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.answer_grammar import answer_grammar
from engine.recipe.conversation import conversation
from engine.recipe.prompt import answer_text, parse_answer

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


def ask(
    file: GgufFile, asked: PredictionInputs, examples: Sequence[Example], *, free: bool
) -> Predictions:
    """Return what the file is judged by and, where `free`, what it says when nothing holds it."""
    if asked.task.spec.by_likelihood:
        return _likelihoods(file, asked, examples)
    turns = [asked_turns(asked.task, row) for row in examples]
    prompts = [file.chat.prompt(one) for one in turns]
    ollama, sent = _ollama(file.modelfile, turns), _by_the_file(file, turns)
    request = replace(_request(file, asked, prompts, free=free), read=ollama or [], sent=sent)
    answers = _run(file, request)
    if not answers.is_finite:
        silent = [predicted(row) for row in examples]
        return Predictions(
            chosen=silent, free=silent, facts=_damaged(answers, examples, prompts, file)
        )
    loose = [
        _generate(asked, row, text, ended=ended)
        # nothing comes back of what was not asked for
        for row, text, ended in zip(
            examples, answers.texts, answers.ended, strict=bool(answers.texts)
        )
    ]
    chosen = [*_held(asked, examples, answers)] if asked.task.spec.is_constrained else loose
    ids = [file.chat.token_ids(prompt) for prompt in prompts]
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
    return Predictions(
        chosen=chosen,
        free=loose if asked.task.spec.is_constrained else [],
        facts={"version": answers.version, "parity": parity, "is_ended": answers.is_ended},
    )


def _damaged(
    answers: GgufAnswers, examples: Sequence[Example], prompts: Sequence[str], file: GgufFile
) -> dict[str, Any]:
    """Return the facts of a file that answers nothing."""
    ids = [file.chat.token_ids(prompt) for prompt in prompts]
    parity = {"llama_cpp": _same(examples, ids, answers.token_ids)}
    return {"version": answers.version, "parity": parity, "is_finite": False}


def _request(
    file: GgufFile, asked: PredictionInputs, prompts: Sequence[str], *, free: bool
) -> Request:
    from engine.runtime.llama.client import Request  # only where a file is asked

    task, room, terminator = asked.task, asked.room(file.chat), file.chat.terminator
    is_label = task.spec.decoding is Decoding.LABEL_SCORING
    answers = [answer_text(task, label) + terminator for label in task.labels] if is_label else []
    grammar = answer_grammar(task) if task.spec.is_constrained and not is_label else None
    return Request(
        prompts=prompts,
        answers=answers,
        distribution=True,
        grammar=grammar or "",
        grammar_tokens=room,
        max_new_tokens=room if free or not task.spec.is_constrained else 0,
        terminator=terminator,
    )


def _run(file: GgufFile, request: Request) -> GgufAnswers:
    from engine.runtime.llama.client import ask_gguf  # only where a file is asked

    return ask_gguf(
        file.path, request, threads=file.threads, workdir=file.workdir, progress=file.progress
    )


def _held(
    asked: PredictionInputs, examples: Sequence[Example], answers: GgufAnswers
) -> Iterator[Prediction]:
    """Yield the answers that were held to the task's form."""
    labels = asked.task.labels
    for row, choice in zip(examples, answers.choices, strict=bool(answers.choices)):
        yield predicted(
            row,
            label=labels[choice.index],
            text=answer_text(asked.task, labels[choice.index]),
            probability=choice.probability,
            probabilities=choice.probabilities,
        )
    for row, bound in zip(examples, answers.constrained, strict=bool(answers.constrained)):
        label = parse_answer(asked.task, bound.text) if bound.finished else None
        yield predicted(row, label=label, text=bound.text, probability=bound.probability)


def _generate(asked: PredictionInputs, row: Example, text: str, *, ended: bool) -> Prediction:
    label = parse_answer(asked.task, text) if ended or not asked.task.spec.is_constrained else None
    return predicted(row, label=label, text=text, ended=ended)


def _likelihoods(
    file: GgufFile, asked: PredictionInputs, examples: Sequence[Example]
) -> Predictions:
    """Return how probable what would be learned of each row is, in the form that training reads."""
    from engine.runtime.llama.client import LearnedRow, Request  # only where a file is asked
    from engine.runtime.scoring.likelihood import token_row  # brings torch

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
    answers = _run(
        file,
        Request(
            prompts=texts,
            learned=learned,
            terminator=renderer.ending,
            read=[text for _, text, _ in plain],
            sent=asked_by_users,
        ),
    )
    owners = [
        row for row, rows in zip(examples, made, strict=True) for one in rows for _ in one.segments
    ]
    if not answers.is_finite:
        silent = [predicted(row) for row in examples]
        return Predictions(chosen=silent, free=[], facts=_damaged(answers, owners, texts, file))
    # nothing stands before the first token, so nothing predicts it
    nats, counts = iter(answers.likelihoods), iter(sum(row.learned[1:]) for row in tokens)
    ends = iter(answers.ended)
    chosen = [
        predicted(
            row,
            nats=sum(next(nats) for _ in rows),
            tokens=sum(next(counts) for _ in rows),
            ended=[next(ends) for _ in rows][-1],
            bytes=sum(
                len(part.text.encode()) for one in rows for part in one.segments if part.supervised
            ),
        )
        for row, rows in zip(examples, made, strict=True)
    ]
    ids = [file.chat.token_ids(text) for text in texts]
    by_users = [file.chat.token_ids(text) for text in expected]
    by_ollama = [file.chat.token_ids(prompt) for _, _, prompt in plain]
    has_turns = asked.task.spec.has_turns
    parity = {
        "training": None,
        "llama_cpp": _same(owners, ids, answers.token_ids),
        "ollama": _same([row for row, _, _ in plain], by_ollama, answers.read) if plain else None,
        "template": _same(examples, expected, asked_by_users) if has_turns else None,
        "users": _same(examples, by_users, answers.sent),
    }
    facts = {"version": answers.version, "parity": parity, "is_ended": answers.is_ended}
    return Predictions(chosen=chosen, free=[], facts=facts)


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
