"""Asking a GGUF file for the answer to every row, as `predict` asks a transformers model.

Beside the answers it gathers what shows that the file reads what training read: token ids in four places,
the chat templates in the file and in the Modelfile, and the prompts as the file's users send them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.examples.example import Example
from engine.errors import StageError
from engine.exporters.ollama import render, template_of
from engine.inference.cached import Predictions
from engine.inference.predict import (
    PredictionInputs,
    asked_turns,
    choice_predictions,
    generated,
    likelihood_predictions,
    predicted,
    scored_parts,
)
from engine.inference.template_check import Turns, corpus, is_plain
from engine.progress import Progress
from engine.recipe.model import ONNX
from engine.recipe.prompt import answer_text, conversation, parse_answer
from engine.runtime.rendering.renderer import RenderedRow
from engine.runtime.rendering.segments import token_row
from engine.values import Value, replace

if TYPE_CHECKING:
    from engine.runtime.llama.client import GgufAnswers, Request
    from engine.runtime.rendering.chat import Chat

GRAPH_REVISION = 1


def ask_exported(
    graph: Path,
    asked: PredictionInputs,
    rows: Sequence[Example],
    *,
    chat: Chat,
    threads: int,
    progress: Progress,
) -> Predictions:
    """Return the most probable labels; `chat` is the merged model's. StageError X816."""
    from engine.runtime.graph_session import ask_graph  # only where a graph is asked

    task = asked.task
    prompts = [chat.prompt(asked_turns(task, row)) for row in rows]
    labels = [answer_text(task, label) + chat.terminator for label in task.labels]
    choices, read = ask_graph(graph, prompts, labels, threads=threads, progress=progress)
    own = [chat.token_ids(prompt) for prompt in prompts]
    judged = [predicted(row) for row in rows]
    if is_finite := len(choices) == len(rows):
        judged = choice_predictions(task, rows, choices)
    facts = {"parity": {ONNX: same_readings(rows, own, read)}}
    return Predictions(judged=judged, free=[], facts={**facts, "is_finite": is_finite})


REVISION = 8


class GgufAsker(Value):
    """Rows and the GGUF file that they are put to: its chat template, and where it is run."""

    asked: PredictionInputs
    examples: Sequence[Example]
    path: Path
    chat: Chat
    modelfile: str
    threads: int
    progress: Progress
    is_whole: bool = True
    """Whether its reading of all texts is checked. Another file with the same tokens and template skips that check."""

    def ask(self, *, free: bool) -> Predictions:
        """Return what the file is judged by and, where `free`, what it says when nothing holds it."""
        from engine.runtime.llama.client import Request  # only where a file is asked

        task, rows = self.asked.task, self.examples
        if task.spec.by_likelihood:
            return self._likelihoods()
        turns = [asked_turns(task, row) for row in rows]
        prompts = [self.chat.prompt(one) for one in turns]
        ollama = self._by_ollama(turns)
        sent = self._by_the_file(turns) if self.is_whole else []
        request = Request.for_task(
            task,
            prompts,
            terminator=self.chat.terminator,
            max_new_tokens=self.asked.max_new_tokens(self.chat),
            free=free,
            distribution=True,
            read=[*(ollama or []), *(corpus() if self.is_whole else ())],
            sent=sent,
        )
        answers = self._answers(request)
        ids = self._ids(prompts)
        by_llama = same_readings(rows, ids, answers.token_ids)
        if not answers.is_finite:
            return self._silent(answers, by_llama)
        held = task.spec.is_constrained
        # nothing comes back of what was not asked for
        texts = zip(rows, answers.texts, answers.ended, strict=bool(answers.texts))
        loose = [generated(task, row, text, ended=ended) for row, text, ended in texts]
        parity: dict[str, Any] = {"llama_cpp": by_llama}
        if self.is_whole:
            trained, of_ollama = self._trained_ids(), len(ollama or ())
            # Pairs of readings that go wrong one by one: the pre-tokenizer of the file, its template and
            # the Modelfile's, the tokens that it adds by itself.
            parity = {
                "training": same_readings(rows, ids, trained),
                "llama_cpp": by_llama,
                "ollama": None
                if ollama is None
                else same_readings(rows, ids, answers.read[:of_ollama]),
                "template": same_readings(rows, prompts, sent),
                "users": same_readings(rows, trained, answers.sent),
                "corpus": self._by_corpus(answers.read[of_ollama:]),
            }
        judged = loose
        if answers.choices:
            judged = choice_predictions(task, rows, answers.choices)
        elif held:
            judged = [
                predicted(
                    row,
                    label=parse_answer(task, bound.text) if bound.finished else None,
                    text=bound.text,
                    probability=bound.probability,
                )
                for row, bound in zip(rows, answers.constrained, strict=True)
            ]
        return Predictions(judged=judged, free=loose if held else [], facts=_facts(answers, parity))

    def _answers(self, request: Request) -> GgufAnswers:
        from engine.runtime.llama.client import ask_gguf  # only where a file is asked

        return ask_gguf(self.path, request, threads=self.threads, progress=self.progress)

    def _ids(self, texts: Iterable[str]) -> list[list[int]]:
        return self.chat.all_token_ids([*texts])

    def _by_corpus(self, read: Sequence[list[int]]) -> dict[str, int | str | None]:
        """Count the texts of the corpus that llama.cpp reads as transformers does, and name the first that differs."""
        return _same([*map(repr, corpus())], self.chat.all_token_ids(corpus()), read)

    def _silent(self, answers: GgufAnswers, by_llama: Mapping[str, Any]) -> Predictions:
        rows = [predicted(row) for row in self.examples]
        free = [] if self.asked.task.spec.by_likelihood else rows
        return Predictions(judged=rows, free=free, facts=_facts(answers, {"llama_cpp": by_llama}))

    def _likelihoods(self) -> Predictions:
        """Return how probable what would be learned of each row is, in the form that training reads."""
        from engine.runtime.llama.client import Request  # only where a file is asked
        from engine.runtime.scoring.likelihood import Likelihood  # brings torch

        renderer = self.asked.renderer(self.chat)
        made = [renderer.render(row) for row in self.examples]
        parts = scored_parts(made, renderer.ending)
        tokens = [token_row(self.chat, segments) for segments in parts]
        texts = [segment.text for segments in parts for segment in segments]
        expected, sent = self._sent(made) if self.is_whole else ([], [])
        plain = self._plain_by_ollama()
        request = Request(
            prompts=texts,
            learned=tokens,
            terminator=renderer.ending,
            read=[*(text for _, text, _ in plain), *(corpus() if self.is_whole else ())],
            sent=sent,
        )
        answers = self._answers(request)
        pairs = zip(self.examples, made, strict=True)
        owners = [
            row for row, rows in pairs for one in scored_parts([rows], renderer.ending) for _ in one
        ]
        by_llama = same_readings(owners, self._ids(texts), answers.token_ids)
        if not answers.is_finite:
            return self._silent(answers, by_llama)
        # nothing stands before the first token, so nothing predicts it
        found = [
            Likelihood(nll=nll, tokens=sum(row.learned[1:]), ends=ends)
            for row, nll, ends in zip(tokens, answers.likelihoods, answers.ended, strict=True)
        ]
        parity: dict[str, Any] = {"llama_cpp": by_llama}
        if self.is_whole:
            plain_rows, plain_ids = (
                [row for row, _, _ in plain],
                self._ids(own for _, _, own in plain),
            )
            by_ollama = same_readings(plain_rows, plain_ids, answers.read[: len(plain)])
            by_template = same_readings(self.examples, expected, sent)
            parity = {
                "training": None,
                "llama_cpp": by_llama,
                "ollama": by_ollama if plain else None,
                "template": by_template if self.asked.task.spec.has_turns else None,
                "users": same_readings(self.examples, self._ids(expected), answers.sent),
                "corpus": self._by_corpus(answers.read[len(plain) :]),
            }
        judged = likelihood_predictions(self.examples, made, found, task=self.asked.task)
        return Predictions(judged=judged, free=[], facts=_facts(answers, parity))

    def _sent(self, made: Sequence[Sequence[RenderedRow]]) -> tuple[list[str], list[str]]:
        """Return the beginning of each row as training reads it, and as users of the file send it.

        Of a conversation that is what asks for its last answer; of a document all before its end.
        """
        task = self.asked.task
        if task.spec.has_turns:
            conversations = [
                conversation(task, input=row.input, target=row.target, payload=row.payload)
                for row in self.examples
            ]
            turns = [one.asked for one in conversations]
            tools = [one.tools for one in conversations]
            own = [self.chat.prompt(*one) for one in zip(turns, tools, strict=True)]
            return own, self._by_the_file(turns, tools)
        texts = [rows[0].answer.removesuffix(self.chat.terminator) for rows in made]
        return [f"{rows[0].prompt}{text}" for rows, text in zip(made, texts, strict=True)], texts

    def _plain_by_ollama(self) -> list[tuple[Example, str, str]]:
        """Return the conversations that a Modelfile has a form for: as it writes them, and as training does."""
        task = self.asked.task
        if not task.spec.has_turns or not self.modelfile:
            return []
        turns = [(row, asked_turns(task, row)) for row in self.examples]
        # Ollama's own templates are not the chat template: of tools and their calls a Modelfile of
        # ours says nothing
        plain = [(row, one) for row, one in turns if is_plain(one) and not row.payload.get("tools")]
        written = self._by_ollama([one for _, one in plain]) or []
        pairs = zip(plain, written, strict=True)
        return [(row, text, self.chat.prompt(one)) for (row, one), text in pairs]

    def _trained_ids(self) -> list[list[int]]:
        renderer = self.asked.renderer(self.chat)
        before = [
            [part.text for part in renderer.render(row)[-1].segments[:-1]] for row in self.examples
        ]
        tokens = iter(self._ids(text for texts in before for text in texts))
        return [[token for _ in texts for token in next(tokens)] for texts in before]

    def _by_ollama(self, turns: Sequence[Turns]) -> list[str] | None:
        """Return what the Modelfile's template writes for each row; None without one."""
        if not self.modelfile:
            return None
        template = template_of(self.modelfile)
        return [render(template, one) for one in turns]

    def _by_the_file(self, turns: Sequence[Turns], tools: Sequence[Turns] = ()) -> list[str]:
        """Return the prompts as the chat template and the special tokens in the file write them; "" without one."""
        from engine.runtime.llama.client import file_tokenizer

        tokenizer = file_tokenizer(self.path)
        own, written = replace(self.chat, tokenizer=tokenizer), list[str]()
        for one, offered in zip(turns, tools or [()] * len(turns), strict=True):
            try:
                written.append(own.prompt(one, offered) if tokenizer.chat_template else "")
            except StageError:  # the template refuses the turns
                written.append("")
        return written


def _facts(answers: GgufAnswers, parity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept beside the answers; a damaged file gives none."""
    known = {"is_ended": answers.is_ended} if answers.is_finite else {"is_finite": False}
    return {"version": answers.version, "parity": parity, **known}


def same_readings(
    rows: Sequence[Example], one: Sequence[Any], two: Sequence[Any]
) -> dict[str, int | str | None]:
    """Count the rows on which two readings are equal, and name the first that differs."""
    return _same([row.id for row in rows], one, two)


def _same(
    names: Sequence[str], one: Sequence[Any], two: Sequence[Any]
) -> dict[str, int | str | None]:
    different = [name for name, a, b in zip(names, one, two, strict=True) if a != b]
    return {
        "same": len(names) - len(different),
        "of": len(names),
        "first_different": different[0] if different else None,
    }
