"""Baselines of a sentence encoder: a linear model over its vectors, or the encoder itself tuned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold, beginning, inner_folds
from engine.inference.baselines.values import BaselinePredictions
from engine.inference.predict import label_predictions
from engine.kinds import AnswerForm
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.model import Task
from engine.recipe.prompt import joined_labels
from engine.values import replace

if TYPE_CHECKING:
    from engine.runtime.encoders.encoder import Encoder
    from engine.runtime.encoders.linear import LabelledTexts

INNER_FOLDS = 5
MOST_CROSSED = 2000
"""Training rows that take part in choosing C; all of them train."""


def linear(
    encoder: Encoder, fold: Fold, task: Task, *, seed: int, progress: Progress
) -> BaselinePredictions:
    """Return what a linear model over the encoder's vectors says. StageError G522."""
    from engine.runtime.encoders.linear import MODELS, linear_answers  # brings scikit-learn

    of = partial(labelled, encoder, task=task, progress=progress)
    choice = linear_answers(
        of(fold.train),
        of(fold.validation) if fold.validation else None,
        of(fold.judged),
        folds=_crossing(fold.train, seed=seed),
        seed=seed,
    )
    facts = {
        "variant": choice.features,
        "model": MODELS[choice.features],
        "c": choice.c,
        "chosen_by": "validation" if fold.validation else f"{INNER_FOLDS}-fold",
        "macro_f1": {name: round(score, 4) for name, score in choice.scores.items()},
    }
    predictions = _predictions(fold.judged, task, choice.answers)
    return BaselinePredictions(predictions=predictions, facts=_facts(encoder, fold) | facts)


def tuned(
    encoder: Encoder, fold: Fold, task: Task, *, seed: int, progress: Progress
) -> BaselinePredictions:
    """Return what the encoder says after it was trained on the training rows. StageError G522, X696."""
    from engine.runtime.encoders.tuned import tuned_answers  # brings torch

    answered = tuned_answers(
        encoder,
        [row.input for row in fold.train],
        target_array(fold.train, task),
        [row.input for row in fold.judged],
        seed=seed,
        progress=progress,
    )
    facts = {"epochs": answered.epochs, "steps": answered.steps}
    predictions = _predictions(fold.judged, task, answered.answers)
    return BaselinePredictions(predictions=predictions, facts=_facts(encoder, fold) | facts)


def _facts(encoder: Encoder, fold: Fold) -> dict[str, object]:
    split = encoder.split_share([row.input for row in fold.train])
    return {
        "parameters": encoder.parameters,
        "bytes": encoder.bytes,
        "split_words": round(split, 3),
    }


def _crossing(rows: Sequence[Example], *, seed: int) -> list[int]:
    """Return the fold of each row, -1 for those beyond the bound and for a row that is alone."""
    taken = beginning(rows, MOST_CROSSED, seed=seed)
    numbers = inner_folds(taken, INNER_FOLDS, seed=seed)
    if not numbers:
        # One group, or one text: only C is chosen here, and some of its rows tell more of it than none.
        apart = [replace(row, group=str(place)) for place, row in enumerate(taken)]
        numbers = inner_folds(apart, INNER_FOLDS, seed=seed)
    by_id = {row.id: number for row, number in zip(taken, numbers, strict=False)}
    return [by_id.get(row.id, -1) for row in rows]


def labelled(
    encoder: Encoder, rows: Sequence[Example], *, task: Task, progress: Progress
) -> LabelledTexts:
    """Return the vectors and labels of some rows."""
    from engine.runtime.encoders.linear import LabelledTexts  # brings scikit-learn

    texts = [row.input for row in rows]
    vectors = encoder.vectors(texts, progress)
    return LabelledTexts(texts=texts, vectors=vectors, labels=target_array(rows, task))


def target_array(rows: Sequence[Example], task: Task) -> np.ndarray:
    """Return the label of each row; for several labels a column of 0 and 1 for each label of the task."""
    if task.spec.answer is AnswerForm.LABEL:
        return np.array([row.target for row in rows])
    return np.array([[label in row.labels for label in task.labels] for row in rows], dtype=int)


def _predictions(rows: Sequence[Example], task: Task, answers: np.ndarray) -> list[Prediction]:
    if answers.ndim == 1:
        return label_predictions(rows, [str(answer) for answer in answers])
    found = [[label for label, has in zip(task.labels, row, strict=True) if has] for row in answers]
    return label_predictions(rows, [joined_labels(task, labels) for labels in found])
