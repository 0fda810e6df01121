"""A baseline that a transformers model answers: the recipe's base model untouched, or another one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold, beginning, inner_folds
from engine.inference.baselines.shots import BaselinePredictions, Question
from engine.inference.cached import stopwatch
from engine.inference.predict import (
    PredictionInputs,
    Shot,
    asked_turns,
    choice_predictions,
    judged,
    label_predictions,
    predicted,
)
from engine.kinds import AnswerForm, Decoding
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.model import Task
from engine.recipe.prompt import joined_labels, parse_answer
from engine.runtime.rendering.windows import WINDOWS
from engine.values import replace

if TYPE_CHECKING:
    from engine.runtime.encoders.classifiers import LabelledTexts
    from engine.runtime.encoders.encoder import Encoder
    from engine.runtime.models.load import LoadedModel

INNER_FOLDS = 5
MOST_CROSSED = 2000
"""Training rows that take part in choosing C; all of them train."""


def linear(
    encoder: Encoder, fold: Fold, task: Task, *, seed: int, progress: Progress
) -> BaselinePredictions:
    """Return what a linear model over the encoder's vectors says. StageError G522."""
    from engine.runtime.encoders.classifiers import MODELS, linear_answers  # brings scikit-learn

    of = partial(labelled, encoder, task=task, progress=progress)
    # The fold of each row is -1 for those beyond the bound, and for a row that is alone.
    taken = beginning(fold.train, MOST_CROSSED, seed=seed)
    numbers = inner_folds(taken, INNER_FOLDS, seed=seed)
    if not numbers:
        # One group, or one text: only C is chosen here, and some of its rows tell more of it than none.
        apart = [replace(row, group=str(place)) for place, row in enumerate(taken)]
        numbers = inner_folds(apart, INNER_FOLDS, seed=seed)
    by_id = {row.id: number for row, number in zip(taken, numbers, strict=False)}
    choice = linear_answers(
        of(fold.train),
        of(fold.validation) if fold.validation else None,
        of(fold.judged),
        folds=[by_id.get(row.id, -1) for row in fold.train],
        seed=seed,
    )
    facts = {
        "variant": choice.features,
        "model": MODELS[choice.features],
        "c": choice.c,
        "chosen_by": "validation" if fold.validation else f"{INNER_FOLDS}-fold",
        "macro_f1": {name: round(score, 4) for name, score in choice.scores.items()},
    }
    predictions = answered(fold.judged, task, choice.answers)
    return BaselinePredictions(predictions=predictions, facts=_facts(encoder, fold) | facts)


def tuned(
    encoder: Encoder, fold: Fold, task: Task, *, seed: int, progress: Progress
) -> BaselinePredictions:
    """Return what the encoder says after it was trained on the training rows. StageError G522, X696."""
    from engine.runtime.encoders.classifiers import tune  # brings torch

    texts, labels = [row.input for row in fold.train], target_array(fold.train, task)
    model = tune(encoder, texts, labels, seed=seed, progress=progress)
    facts = {"epochs": model.epochs, "steps": model.steps}
    answers = model.answers([row.input for row in fold.judged])
    predictions = answered(fold.judged, task, answers)
    return BaselinePredictions(predictions=predictions, facts=_facts(encoder, fold) | facts)


def _facts(encoder: Encoder, fold: Fold) -> dict[str, object]:
    split = round(encoder.split_share([row.input for row in fold.train]), 3)
    return {"parameters": encoder.parameters, "bytes": encoder.bytes, "split_words": split}


def labelled(
    encoder: Encoder, rows: Sequence[Example], *, task: Task, progress: Progress
) -> LabelledTexts:
    from engine.runtime.encoders.classifiers import LabelledTexts  # brings scikit-learn

    texts = [row.input for row in rows]
    vectors = encoder.vectors(texts, progress)
    return LabelledTexts(texts=texts, vectors=vectors, labels=target_array(rows, task))


def target_array(rows: Sequence[Example], task: Task) -> np.ndarray:
    """Return the label of each row; for several labels a column of 0 and 1 for each label of the task."""
    if task.spec.answer is AnswerForm.LABEL:
        return np.array([row.target for row in rows])
    return np.array([[label in row.labels for label in task.labels] for row in rows], dtype=int)


def answered(rows: Sequence[Example], task: Task, answers: np.ndarray) -> list[Prediction]:
    if answers.ndim == 1:
        return label_predictions(rows, [str(answer) for answer in answers])
    found = [[label for label, has in zip(task.labels, row, strict=True) if has] for row in answers]
    return label_predictions(rows, [joined_labels(task, labels) for labels in found])


SPARE_TOKENS = 8
"""An answer may have so many tokens more than the longest right one, as far as bytes tell."""
PROSE_BYTES = 2
"""Bytes of a token of prose, at least; of labels and JSON, 1."""


def ask_file(
    gguf: Path, question: Question, *, threads: int, progress: Progress
) -> BaselinePredictions:
    """Return what the file says to every row. EnvironmentProblem X640, StageError X602, X634, X641."""
    from engine.runtime.llama.client import Request, ask_gguf, file_tokenizer
    from engine.runtime.rendering.chat import chat_of  # brings transformers

    chat, task = chat_of(file_tokenizer(gguf)), question.task
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
    answers = ask_gguf(gguf, request, threads=threads, progress=progress)
    facts = {"version": answers.version, "bytes": gguf.stat().st_size}
    rows = question.fold.judged
    if task.spec.decoding is Decoding.LABEL_SCORING:
        found = choice_predictions(task, rows, answers.choices)
    else:
        given: list[tuple[str, float | None]] = [(text, None) for text in answers.texts]
        if answers.constrained:
            given = [(one.text, one.probability) for one in answers.constrained]
        found = [
            predicted(row, label=parse_answer(task, text), text=text, probability=probability)
            for row, (text, probability) in zip(rows, given, strict=True)
        ]
    return BaselinePredictions(predictions=found, facts=facts)


def ask_model(
    loaded: LoadedModel, question: Question, *, progress: Progress
) -> BaselinePredictions:
    """Return what the model says, in the tuned one's form; shots without room are left out, the least near first."""
    asked, rows, shots = question.asked, question.fold.judged, question.shots
    kept = [_fitting(loaded, asked, row, own) for row, own in zip(rows, shots, strict=True)]
    seconds = stopwatch(loaded.model.device.type)
    predictions = judged(loaded, asked, rows, progress=progress, shots=kept)
    cut = sum(len(fitting) < len(own) for fitting, own in zip(kept, shots, strict=True))
    facts: dict[str, Any] = {
        "parameters": int(loaded.model.num_parameters()),
        "bytes": int(loaded.model.get_memory_footprint()),
        "asked_seconds": round(seconds(), 4),
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
