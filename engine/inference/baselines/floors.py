"""Baselines without a language model: the most frequent answer, and a linear classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.inference import predict
from engine.inference.predict import label_predictions
from engine.kinds import AnswerForm
from engine.metrics.predictions import Prediction
from engine.recipe.model import Task
from engine.recipe.prompt import joined_labels


def most_frequent(train: Sequence[Example], task: Task) -> str:
    """Return the most frequent training answer; among equals the first label, else the first text."""
    counts = Counter(row.target for row in train)
    places = {label: place for place, label in enumerate(task.labels)}
    return min(counts, key=lambda target: (-counts[target], places.get(target, 0), target))


def majority(fold: Fold, task: Task) -> list[Prediction]:
    """Return the same answer for every row."""
    return label_predictions(fold.judged, [most_frequent(fold.train, task)] * len(fold.judged))


def svm(fold: Fold, task: Task, *, seed: int) -> list[Prediction]:
    """Return what a linear machine over TF-IDF says; with several labels, one machine each. G510."""
    from engine.runtime.text.svm import tfidf_svm_of_each  # brings scikit-learn

    if task.spec.answer is AnswerForm.LABEL:
        return predict.svm(fold.train, fold.judged, seed=seed)
    if not fold.judged:
        return []
    texts, judged = [row.input for row in fold.train], [row.input for row in fold.judged]
    sets = [frozenset(row.labels) for row in fold.train]
    found = tfidf_svm_of_each(texts, sets, judged, labels=task.labels, seed=seed)
    return label_predictions(fold.judged, [joined_labels(task, sorted(labels)) for labels in found])
