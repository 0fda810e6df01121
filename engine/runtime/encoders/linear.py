"""A linear model over the vectors of a frozen encoder, alone and beside TF-IDF.

Logistic regression on the vectors alone, LinearSVC beside TF-IDF: either is about as good as the other, and several
times faster where it is used (`benchmarks/encoders.py --machines`). All blocks have length 1, so that none decides by
its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from engine.runtime.encoders.encoder import require_lesson, teaches_nothing
from engine.runtime.text.classifier import fit_classifier
from engine.runtime.text.tfidf import words_and_characters
from engine.values import Value

ALONE, BESIDE = "alone", "beside TF-IDF"
GRIDS: Mapping[str, tuple[float, ...]] = {
    ALONE: (1.0, 3.0, 10.0, 30.0, 100.0),
    BESIDE: (0.1, 0.3, 1.0, 3.0, 10.0),
}
"""Values of C that are tried, by features."""
MODELS: Mapping[str, str] = {ALONE: "logistic regression", BESIDE: "linear SVM"}


class LabelledTexts(Value):
    """Texts, their vectors, and their labels; one label each, or a column for each label."""

    texts: Sequence[str]
    vectors: np.ndarray
    labels: np.ndarray
    """Of one dimension: a label each. Of two: 1 where the row has the column's label."""

    def part(self, places: np.ndarray) -> LabelledTexts:
        chosen = [self.texts[place] for place in places]
        return LabelledTexts(texts=chosen, vectors=self.vectors[places], labels=self.labels[places])


class LinearChoice(Value):
    """The model that was chosen, and by what."""

    features: str
    """The vectors alone, or beside TF-IDF."""
    c: float
    scores: Mapping[str, float]
    """Macro-F1 by which the features were chosen, by features."""
    answers: np.ndarray
    """For the asked texts, in the form of the labels."""


class FittedLinear(Value):
    """A classifier of vectors, or of vectors beside weights of words and parts of words."""

    tfidf: Any | None
    """None where the vectors stand alone."""
    classifier: Any

    def answers(self, rows: LabelledTexts) -> np.ndarray:
        """Return the answers to some texts, in the form of the labels that it was fitted to."""
        return np.asarray(self.classifier.predict(_features(self.tfidf, rows)))


def linear_answers(
    train: LabelledTexts,
    validation: LabelledTexts | None,
    asked: LabelledTexts,
    *,
    folds: Sequence[int],
    seed: int,
    feature_sets: Sequence[str] = (ALONE, BESIDE),
) -> LinearChoice:
    """Return the answers with the better features, trained on the training rows alone.

    C is chosen by cross-validation inside them, `folds` being the fold of each, or -1 for a row that has no part in
    that choice; the features by the validation rows, or by the same cross-validation where there are none. Ties go to
    the smaller C, and to the encoder alone. StageError G522 when the training rows teach nothing.
    """
    numbers = np.asarray(folds)
    require_lesson(train.texts, train.labels)
    crossing = np.flatnonzero(numbers >= 0)
    scores: dict[str, float] = {}
    chosen: dict[str, float] = {}
    for features in feature_sets:
        crossed = _cross_validated(train.part(crossing), features, numbers[crossing], seed=seed)
        chosen[features] = max(GRIDS[features], key=lambda c: (crossed[c], -c))
        scores[features] = crossed[chosen[features]]
        if validation is not None:
            found = _answers(train, validation, features, chosen[features], seed=seed)
            scores[features] = _macro_f1(validation.labels, found)
    best = max(feature_sets, key=lambda features: scores[features])
    answers = _answers(train, asked, best, chosen[best], seed=seed)
    return LinearChoice(features=best, c=chosen[best], scores=scores, answers=answers)


def _cross_validated(
    rows: LabelledTexts, features: str, folds: np.ndarray, *, seed: int
) -> dict[float, float]:
    """Return macro-F1 over all rows, each judged by what was learned without its fold, by C; 0 where there are none."""
    found = {c: np.zeros_like(rows.labels) for c in GRIDS[features]}
    for fold in sorted(set(folds.tolist())):
        learned = rows.part(np.flatnonzero(folds != fold))
        places = np.flatnonzero(folds == fold)
        tfidf = _tfidf(learned, features)
        given, judged = _features(tfidf, learned), _features(tfidf, rows.part(places))
        for c in GRIDS[features]:
            new = partial(_model, features, c, seed=seed)
            found[c][places] = fit_classifier(new, given, learned.labels).predict(judged)
    return {c: _macro_f1(rows.labels, answers) for c, answers in found.items()}


def _answers(
    train: LabelledTexts, asked: LabelledTexts, features: str, c: float, *, seed: int
) -> np.ndarray:
    fitted = fit_linear(train, features, c, seed=seed)
    # scikit-learn refuses to answer nothing
    return fitted.answers(asked) if len(asked.texts) else train.labels[:0]


def fit_linear(train: LabelledTexts, features: str, c: float, *, seed: int) -> FittedLinear:
    """Fit the linear model of some features at one C. StageError G522 when the training rows teach nothing."""
    tfidf = _tfidf(train, features)
    new = partial(_model, features, c, seed=seed)
    classifier = fit_classifier(new, _features(tfidf, train), train.labels)
    return FittedLinear(tfidf=tfidf, classifier=classifier)


def _model(features: str, c: float, *, seed: int) -> Any:
    if features == ALONE:
        return LogisticRegression(C=c, max_iter=1000)
    return LinearSVC(C=c, max_iter=10_000, random_state=seed)


def _tfidf(train: LabelledTexts, features: str) -> Any | None:
    """Return the weights of words, learned from the training rows; None where the vectors stand alone."""
    if features == ALONE:
        return None
    try:
        return words_and_characters().fit(train.texts)
    except ValueError as error:
        raise teaches_nothing(str(error).splitlines()[0]) from error


def _features(tfidf: Any | None, rows: LabelledTexts) -> Any:
    if tfidf is None:
        return rows.vectors
    counted = tfidf.transform(rows.texts)
    return sparse.hstack([sparse.csr_matrix(rows.vectors), counted]).tocsr()


def _macro_f1(labels: np.ndarray, answers: np.ndarray) -> float:
    # scikit-learn judges no empty list
    return (
        float(f1_score(labels, answers, average="macro", zero_division=0.0)) if len(labels) else 0.0
    )
