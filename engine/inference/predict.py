"""Asking a model, or the SVM, for the answer to every row; shared by the stages that judge.

Each kind is judged in its own way (`chosen`): a classifier by the most probable of its labels, several
labels and objects by decoding that says nothing but answers of that form, free text by what the model
says, and conversations and documents by how probable they are to it. `free` shows what the model says
when nothing holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from engine.data.examples.example import Example
from engine.environment import VLLM, version_of
from engine.errors import DataError
from engine.kinds import Decoding
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.answer_grammar import answer_grammar
from engine.recipe.conversation import conversation
from engine.recipe.model import Recipe, Task
from engine.recipe.prompt import answer_text, messages, parse_answer
from engine.runtime.rendering.key import LengthLimits, written_task

if TYPE_CHECKING:
    from engine.runtime.generation.generate import GeneratedText
    from engine.runtime.models.load import LoadedModel
    from engine.runtime.rendering.chat import Chat
    from engine.runtime.rendering.renderer import RenderedRow, Renderer

REVISION = 4
"""Bumped when the same model and rows would now give other predictions."""

SPARE_TOKENS = 8
"""Answers may be this much longer than the longest training answer before they are cut off."""
LONGEST_ANSWERS = 32
"""Training answers, by characters, whose tokens are counted."""

FILE = "predictions.jsonl"
"""In every `predictions` product."""

Shot = tuple[str, str]
"""(text, target): an answered question before the real one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionInputs:
    """What rows are asked, besides themselves."""

    task: Task
    max_length: int
    """Tokens of a block of a document, as in training."""
    answers: tuple[str, ...]
    """The longest training answers, where they say how long an answer may be."""

    @classmethod
    def of(cls, recipe: Recipe, train: Iterable[Example]) -> Self:
        """Return what a recipe asks; `train` are the rows that were learned from."""
        task = recipe.task
        texts: set[str] = set()
        if not task.spec.by_likelihood and not task.max_new_tokens:
            texts = {answer_text(task, row.target) for row in train}
        # by characters, since this stands in keys and no tokenizer is loaded for a key; equal
        # lengths by text, for a set has no order
        longest = sorted(texts, key=lambda text: (-len(text), text))[:LONGEST_ANSWERS]
        return cls(task=task, max_length=recipe.method.max_length, answers=tuple(longest))

    def payload(self) -> dict[str, Any]:
        """Return what the predictions depend on, for their key."""
        digest = sha256("\0".join(self.answers).encode(errors="surrogatepass")).hexdigest()
        payload = {"task": task_slice(self.task), "max_length": self.max_length, "answers": digest}
        vllm = None if self.task.spec.by_likelihood else version_of(VLLM)
        # only where it is used, so that the keys of everybody else do not change
        return payload | ({VLLM: vllm} if vllm else {})

    def room(self, chat: Chat) -> int:
        """Return how many tokens an answer may have."""
        if self.task.max_new_tokens:
            return self.task.max_new_tokens
        labels = [answer_text(self.task, label) for label in self.task.labels]
        counts = [len(chat.token_ids(text + chat.terminator)) for text in (*labels, *self.answers)]
        return max(counts, default=0) + SPARE_TOKENS

    def renderer(self, chat: Chat) -> Renderer:
        """Return what writes rows as training reads them, whole."""
        from engine.runtime.rendering.renderer import Renderer  # brings transformers

        # what training would cut or leave out is judged all the same
        limits = LengthLimits(max_length=self.max_length, truncation="off", template_tokens="off")
        return Renderer(chat, self.task, limits)


def task_slice(task: Task) -> dict[str, Any]:
    """Return the part of the task that a prompt or an answer depends on, besides the rows."""
    return {**written_task(task), "max_new_tokens": task.max_new_tokens}


def chosen(
    loaded: LoadedModel,
    asked: PredictionInputs,
    examples: Sequence[Example],
    *,
    progress: Progress,
    shots: Sequence[Shot] | Sequence[Sequence[Shot]] = (),
    distribution: bool = True,
) -> list[Prediction]:
    """Return what the model is judged by, for each row.

    `shots` stand before each row as answered questions: the same before all rows, or those of each
    row. `distribution`: with the probability of every label (classification).
    """
    if not examples:
        return []
    kind = asked.task.spec
    if kind.by_likelihood:
        return _likelihoods(loaded, asked, examples, progress=progress)
    prompts = _prompts(loaded.chat, asked.task, examples, shots)
    if kind.decoding is Decoding.LABEL_SCORING:
        return _labelled(
            loaded, asked.task, examples, prompts, progress=progress, distribution=distribution
        )
    grammar = answer_grammar(asked.task) if kind.is_constrained else None
    return _generate(loaded, asked, examples, prompts, grammar=grammar, progress=progress)


def free(
    loaded: LoadedModel,
    asked: PredictionInputs,
    examples: Sequence[Example],
    *,
    progress: Progress,
    shots: Sequence[Shot] | Sequence[Sequence[Shot]] = (),
) -> list[Prediction]:
    """Return what greedy decoding says by itself, and the answer that is, if it is one."""
    if not examples or asked.task.spec.by_likelihood:
        return []
    prompts = _prompts(loaded.chat, asked.task, examples, shots)
    return _generate(loaded, asked, examples, prompts, grammar=None, progress=progress)


def predicted(row: Example, **answer: Any) -> Prediction:
    """Return the prediction of a row: what its metric needs of it, and the answer."""
    references: Sequence[str] = row.payload.get("references", ())
    given = {"text": "", "label": None, "probability": None, **answer}
    return Prediction(
        id=row.id, target=row.target, references=tuple(references), group=row.group, **given
    )


def label_predictions(examples: Sequence[Example], labels: Sequence[str]) -> list[Prediction]:
    """Return one prediction a row from labels alone, without probabilities."""
    return [
        predicted(row, label=label, text=label) for row, label in zip(examples, labels, strict=True)
    ]


def svm(train: Sequence[Example], examples: Sequence[Example], *, seed: int) -> list[Prediction]:
    """Return what the classical classifier, trained on `train`, says. StageError G510."""
    from engine.runtime.text.svm import tfidf_svm  # brings scikit-learn

    if not examples:
        return []
    texts, labels = [row.input for row in train], [row.target for row in train]
    return label_predictions(
        examples, tfidf_svm(texts, labels, [row.input for row in examples], seed=seed)
    )


def asked_turns(task: Task, row: Example, shots: Sequence[Shot] = ()) -> list[Mapping[str, Any]]:
    """Return the turns that ask for the answer to a row: its own where it has any, after the shots."""
    if not row.payload.get("messages"):
        return [*messages(task, row.input, shots)]
    turns = conversation(task, input=row.input, target=row.target, payload=row.payload).asked
    # shots go behind the system turn: many templates take one at the beginning only
    first = 1 if turns[0]["role"] == "system" else 0
    before = messages(task, "", shots)[:-1]
    answered = [turn for turn in before if turn["role"] != "system"]
    return [*turns[:first], *answered, *turns[first:]]


def _prompts(
    chat: Chat,
    task: Task,
    examples: Sequence[Example],
    shots: Sequence[Shot] | Sequence[Sequence[Shot]],
) -> list[str]:
    return [
        chat.prompt(asked_turns(task, row, own))
        for row, own in zip(examples, _by_row(shots, len(examples)), strict=True)
    ]


def _by_row(
    shots: Sequence[Shot] | Sequence[Sequence[Shot]], rows: int
) -> Sequence[Sequence[Shot]]:
    """Return the shots of each row; a shot is a pair of texts, a row's shots are none."""
    parts = [part for shot in shots for part in shot]
    if all(isinstance(part, str) for part in parts):
        return [shots if parts else ()] * rows  # type: ignore[list-item]
    return shots  # type: ignore[return-value]


def _labelled(
    loaded: LoadedModel,
    task: Task,
    examples: Sequence[Example],
    prompts: Sequence[str],
    *,
    progress: Progress,
    distribution: bool,
) -> list[Prediction]:
    """Return the label that is most probable among the task's."""
    from engine.runtime.scoring.label_scoring import choose  # brings torch

    texts = [answer_text(task, label) for label in task.labels]
    # with what ends the turn: `no` alone would never be less probable than `none`
    answers = [text + loaded.chat.terminator for text in texts]
    choices = choose(loaded, prompts, answers, progress=progress, distribution=distribution)
    return [
        predicted(
            row,
            label=task.labels[choice.index],
            text=texts[choice.index],
            probability=choice.probability,
            probabilities=choice.probabilities,
        )
        for row, choice in zip(examples, choices, strict=True)
    ]


def _generate(
    loaded: LoadedModel,
    asked: PredictionInputs,
    examples: Sequence[Example],
    prompts: Sequence[str],
    *,
    grammar: str | None,
    progress: Progress,
) -> list[Prediction]:
    """Return what the model says, held to a grammar where there is one."""
    from engine.runtime.generation.generate import generate  # brings torch
    from engine.runtime.generation.grammar import Grammar  # brings llguidance
    from engine.runtime.served.vllm import generate_with_vllm, is_configured

    chat, room = loaded.chat, asked.room(loaded.chat)
    # labels and grammars stay in the engine, which needs fewer tokens for them than any server
    if grammar is None and is_configured():
        answers = generate_with_vllm(loaded, prompts, max_new_tokens=room, progress=progress)
    else:
        constraint = grammar and Grammar.of(chat.tokenizer, grammar, chat.terminator)
        answers = generate(
            loaded, prompts, max_new_tokens=room, progress=progress, constraint=constraint or None
        )
    return [
        _answered(asked.task, row, answer, is_constrained=grammar is not None)
        for row, answer in zip(examples, answers, strict=True)
    ]


def _answered(
    task: Task, row: Example, answer: GeneratedText, *, is_constrained: bool
) -> Prediction:
    """Return what a text answers; a text that was cut off is no answer where answers have a form."""
    label = (
        parse_answer(task, answer.text) if answer.finished or not task.spec.is_constrained else None
    )
    shows_probability = is_constrained or task.spec.decoding is Decoding.FREE
    probability = answer.probability if shows_probability else None
    return predicted(
        row, label=label, text=answer.text, probability=probability, ended=answer.finished
    )


def _likelihoods(
    loaded: LoadedModel, asked: PredictionInputs, examples: Sequence[Example], *, progress: Progress
) -> list[Prediction]:
    """Return how probable what would be learned of each row is, in the form that training reads."""
    from engine.runtime.scoring.likelihood import likelihood  # brings torch

    renderer = asked.renderer(loaded.chat)
    made = [_rendered(renderer, row) for row in examples]
    parts = [one.segments for rows in made for one in rows]
    found = iter(likelihood(loaded, parts, progress=progress))
    predictions = []
    for row, rows in zip(examples, made, strict=True):
        sums = [next(found) for _ in rows]
        learned = "".join(
            segment.text for one in rows for segment in one.segments if segment.supervised
        )
        predictions.append(
            predicted(
                row,
                nats=sum(one.nll for one in sums),
                ended=sums[-1].ends,
                tokens=sum(one.tokens for one in sums),
                # likelihoods are judged per byte: other tokenizers make other numbers of tokens
                # of the same text
                bytes=len(learned.encode()),
            )
        )
    return predictions


def _rendered(renderer: Renderer, row: Example) -> list[RenderedRow]:
    """Return a row as training would read it. DataError D394 when the chat template does not write it."""
    from engine.runtime.rendering.segments import UnwritableError  # brings torch

    try:
        return renderer.render(row)
    except UnwritableError as error:
        message = f"the base model's chat template does not write {row.origin} as it is: {error}"
        raise DataError.one("D394", message, path="base_model") from error
