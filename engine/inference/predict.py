"""Asking a model, or the SVM, for the answer to every row; shared by the stages that judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from engine.data.examples.example import Example
from engine.errors import DataError
from engine.kinds import Decoding
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.answer_grammar import answer_grammar
from engine.recipe.model import Recipe, Task
from engine.recipe.prompt import answer_text, conversation, messages, parse_answer
from engine.runtime.rendering.key import LengthLimits, written_task
from engine.runtime.rendering.renderer import RenderedRow, Renderer
from engine.runtime.rendering.segments import Segment, UnwritableError
from engine.values import Value

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel
    from engine.runtime.rendering.chat import Chat
    from engine.runtime.scoring.label_search import LabelChoice
    from engine.runtime.scoring.likelihood import Likelihood

REVISION = 6

SPARE_TOKENS = 8
"""Answers may be this much longer than the longest training answer before they are cut off."""
LONGEST_ANSWERS = 32
"""Training answers, by characters, whose tokens are counted."""

FILE = "predictions.jsonl"

Shot = tuple[str, str]
"""(text, target): an answered question before the real one."""


class PredictionInputs(Value):
    task: Task
    max_length: int
    """Tokens of a block of a document, as in training."""
    answers: tuple[str, ...]
    """The longest training answers, where they say how long an answer may be."""
    loss: str = ""
    """Loss of a training on preferences, which defines a rating; empty for other trainings."""
    stride: int = 0
    """Tokens by which a window moves over a document; 0 for blocks with nothing before them."""

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
        preference = recipe.method.preference
        return cls(
            task=task,
            max_length=recipe.method.max_length,
            answers=tuple(longest),
            loss=preference.loss if preference else "",
            stride=recipe.acceptance.stride or 0,
        )

    def payload(self) -> dict[str, Any]:
        digest = sha256("\0".join(self.answers).encode(errors="surrogatepass")).hexdigest()
        payload = {"task": task_slice(self.task), "max_length": self.max_length, "answers": digest}
        # only where they are used, so that the keys of everybody else do not change
        payload |= {"loss": self.loss} if self.loss else {}
        payload |= {"stride": self.stride} if self.stride else {}
        return payload

    def max_new_tokens(self, chat: Chat) -> int:
        if self.task.max_new_tokens:
            return self.task.max_new_tokens
        labels = [answer_text(self.task, label) for label in self.task.labels]
        counts = [len(chat.token_ids(text + chat.terminator)) for text in (*labels, *self.answers)]
        return max(counts, default=0) + SPARE_TOKENS

    def renderer(self, chat: Chat) -> Renderer:
        # what training would cut or leave out is judged all the same
        limits = LengthLimits(
            max_length=self.max_length, truncation="off", template_tokens="off", stride=self.stride
        )
        return Renderer(chat, self.task, limits)


def stride_slice(recipe: Recipe) -> dict[str, int]:
    """Return how documents are judged, for keys; nothing where it is in blocks, as in keys of earlier versions."""
    stride = recipe.acceptance.stride
    return {"stride": stride} if stride else {}


def task_slice(task: Task) -> dict[str, Any]:
    """Return the part of the task that a prompt or an answer depends on, besides the rows."""
    return {**written_task(task), "max_new_tokens": task.max_new_tokens, **counted_bytes(task)}


def counted_bytes(task: Task) -> dict[str, str]:
    """Return of what bytes are counted, for keys; nothing for turns, so that their keys stay as they were."""
    return {} if task.spec.has_turns else {"bytes": "of the document, all of whose tokens count"}


def judged(
    loaded: LoadedModel,
    asked: PredictionInputs,
    examples: Sequence[Example],
    *,
    progress: Progress,
    shots: Sequence[Sequence[Shot]] = (),
    shares: bool = True,
) -> list[Prediction]:
    """Return what the model is judged by, for each row.

    `shots` are the answered questions before each row, none where there are none at all. Without `shares` the most
    probable label is found, in about two thirds of the time, and not how probable each is.
    """
    if not examples:
        return []
    kind = asked.task.spec
    if kind.by_likelihood:
        from engine.runtime.scoring.likelihood import likelihood  # brings torch

        renderer = asked.renderer(loaded.chat)
        made = [_rendered(renderer, row) for row in examples]
        found = likelihood(loaded, scored_parts(made, renderer.ending), progress=progress)
        return likelihood_predictions(examples, made, found, task=asked.task)
    if kind.decoding is Decoding.LABEL_SCORING:
        choices = _choices(loaded, asked, examples, progress=progress, shots=shots, shares=shares)
        return choice_predictions(asked.task, examples, choices)
    prompts = prompts_of(loaded, asked, examples, shots)
    grammar = answer_grammar(asked.task) if kind.is_constrained else None
    return _generate(loaded, asked, examples, prompts, grammar=grammar, progress=progress)


def free(
    loaded: LoadedModel, asked: PredictionInputs, examples: Sequence[Example], *, progress: Progress
) -> list[Prediction]:
    """Return what greedy decoding says by itself, and the answer that is, if it is one."""
    if not examples or asked.task.spec.by_likelihood:
        return []
    prompts = prompts_of(loaded, asked, examples)
    return _generate(loaded, asked, examples, prompts, grammar=None, progress=progress)


def judged_and_free(
    loaded: LoadedModel, asked: PredictionInputs, examples: Sequence[Example], *, progress: Progress
) -> tuple[list[Prediction], list[Prediction]]:
    """Return what `judged` and `free` return.

    The search for the most probable label sees what greedy decoding would say where that is a label, so that
    only rows whose answer is none are decoded besides.
    """
    if not examples or asked.task.spec.decoding is not Decoding.LABEL_SCORING:
        found = judged(loaded, asked, examples, progress=progress)
        return found, free(loaded, asked, examples, progress=progress)
    from engine.runtime.generation.generate import text_of  # brings torch

    choices = _choices(loaded, asked, examples, progress=progress)
    labels = answers_of(loaded, asked.task)
    # What greedy decoding returns where it says an answer; None where that does not end the turn.
    written = cache(lambda at: text_of(loaded.chat, loaded.chat.token_ids(labels[at])))
    texts = [None if choice.greedy is None else written(choice.greedy) for choice in choices]
    pairs = [*zip(examples, texts, strict=True)]
    unknown = [row for row, text in pairs if text is None]
    decoded = iter(free(loaded, asked, unknown, progress=progress))
    loose = [
        next(decoded) if text is None else generated(asked.task, row, text, ended=True)
        for row, text in pairs
    ]
    return choice_predictions(asked.task, examples, choices), loose


def predicted(row: Example, **answer: Any) -> Prediction:
    """Return the prediction of a row: what its metric needs of it, and the answer."""
    references: Sequence[str] = row.payload.get("references", ())
    given = {"text": "", "label": None, "probability": None, **answer}
    return Prediction(
        id=row.id, target=row.target, references=tuple(references), group=row.group, **given
    )


def label_predictions(examples: Sequence[Example], labels: Sequence[str]) -> list[Prediction]:
    return [
        predicted(row, label=label, text=label) for row, label in zip(examples, labels, strict=True)
    ]


def choice_predictions(
    task: Task, examples: Sequence[Example], choices: Sequence[LabelChoice]
) -> list[Prediction]:
    return [
        predicted(
            row,
            label=task.labels[choice.index],
            text=answer_text(task, task.labels[choice.index]),
            # without all shares its own is only known to be at least so large
            probability=choice.probability if choice.probabilities else None,
            probabilities=choice.probabilities,
        )
        for row, choice in zip(examples, choices, strict=True)
    ]


def likelihood_predictions(
    examples: Sequence[Example],
    rendered: Sequence[Sequence[RenderedRow]],
    likelihoods: Iterable[Likelihood],
    *,
    task: Task,
) -> list[Prediction]:
    """Return how probable what is learned of each row is; a document is rendered as several rows.

    The end of a document costs nats and has no bytes: how long its token is written says nothing of the text.
    """
    found, predictions = iter(likelihoods), []
    for row, parts in zip(examples, rendered, strict=True):
        sums = [next(found) for _ in parts]
        learned = [one.text for part in parts for one in part.segments if one.supervised]
        text = "".join(learned) if task.spec.has_turns else row.input
        rejected = [next(found) for part in parts if part.rejected]
        other: dict[str, Any] = {}
        if rejected:
            size = len(parts[0].rejected[-1].text.encode())
            other = {"rejected_nats": rejected[0].nll, "rejected_tokens": rejected[0].tokens}
            other["rejected_bytes"] = size
        predictions.append(
            predicted(
                row,
                **other,
                desirable=all(part.desirable for part in parts),
                nats=sum(one.nll for one in sums),
                ended=sums[-1].ends,
                tokens=sum(one.tokens for one in sums),
                # likelihoods are judged per byte: other tokenizers make other numbers of tokens
                # of the same text
                bytes=len(text.encode()),
            )
        )
    return predictions


def scored_parts(
    rendered: Iterable[Sequence[RenderedRow]], ending: str
) -> list[tuple[Segment, ...]]:
    """Return what is scored of rendered rows, in the order of `likelihood_predictions`.

    A text that nothing precedes is read after the `ending` of another one: its first token would cost nothing
    otherwise, while its bytes count and baselines pay for them.
    """
    opening = Segment(text=ending, supervised=False)
    return [
        (opening, *segments) if any(one.supervised for one in segments[:1]) else segments
        for parts in rendered
        for segments in (
            *(one.segments for one in parts),
            *(one.rejected for one in parts if one.rejected),
        )
    ]


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


def prompts_of(
    loaded: LoadedModel,
    asked: PredictionInputs,
    examples: Sequence[Example],
    shots: Sequence[Sequence[Shot]] = (),
) -> list[str]:
    turns = zip(examples, shots or [()] * len(examples), strict=True)
    return [loaded.chat.prompt(asked_turns(asked.task, row, own)) for row, own in turns]


def _choices(
    loaded: LoadedModel,
    asked: PredictionInputs,
    examples: Sequence[Example],
    *,
    progress: Progress,
    shots: Sequence[Sequence[Shot]] = (),
    shares: bool = True,
) -> list[LabelChoice]:
    """Return the most probable label of each row, with the `shares` of all where they are asked for."""
    from engine.runtime.scoring.label_scoring import choose  # brings torch

    prompts = prompts_of(loaded, asked, examples, shots)
    answers = answers_of(loaded, asked.task)
    return choose(loaded, prompts, answers, progress=progress, distribution=shares)


def answers_of(loaded: LoadedModel, task: Task) -> list[str]:
    # with what ends the turn: `no` alone would never be less probable than `none`
    return [answer_text(task, label) + loaded.chat.terminator for label in task.labels]


def _generate(
    loaded: LoadedModel,
    asked: PredictionInputs,
    examples: Sequence[Example],
    prompts: Sequence[str],
    *,
    grammar: str | None,
    progress: Progress,
) -> list[Prediction]:
    from engine.runtime.generation.generate import generate  # brings torch
    from engine.runtime.generation.grammar import Grammar  # brings llguidance

    chat, most = loaded.chat, asked.max_new_tokens(loaded.chat)
    constraint = grammar and Grammar.of(chat.tokenizer, grammar, chat.terminator)
    answers = generate(
        loaded, prompts, max_new_tokens=most, progress=progress, constraint=constraint or None
    )
    shows_probability = grammar is not None or asked.task.spec.decoding is Decoding.FREE
    return [
        generated(
            asked.task,
            row,
            answer.text,
            ended=answer.finished,
            probability=answer.probability if shows_probability else None,
        )
        for row, answer in zip(examples, answers, strict=True)
    ]


def generated(
    task: Task, row: Example, text: str, *, ended: bool, probability: float | None = None
) -> Prediction:
    """Return what a text answers; a text that was cut off is no answer where answers have a form."""
    label = parse_answer(task, text) if ended or not task.spec.is_constrained else None
    return predicted(row, label=label, text=text, probability=probability, ended=ended)


def _rendered(renderer: Renderer, row: Example) -> list[RenderedRow]:
    """Return a row as training would read it. DataError D394 when the chat template does not write it."""
    try:
        rendered = renderer.render(row)
        if any(one.rejected and len(one.segments) != len(one.rejected) for one in rendered):
            message = f"{row.origin} has an answer of several turns, and training reads one"
            raise DataError.one("D426", message, path="data", hint="leave the row out")
    except UnwritableError as error:
        message = f"the base model's chat template does not write {row.origin} as it is: {error}"
        raise DataError.one("D394", message, path="base_model") from error
    return rendered
