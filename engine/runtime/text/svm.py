"""The classical baseline: TF-IDF and a linear support vector machine, in seconds on one core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.svm import LinearSVC

from engine.errors import StageError
from engine.runtime.text.classifier import fit_classifier
from engine.runtime.text.tfidf import words_and_characters
from engine.values import Value


class FittedSvm(Value):
    """The weights of words and parts of words, and the classifier of the rows that they make."""

    tfidf: Any
    classifier: Any

    def answers(self, texts: Sequence[str]) -> np.ndarray:
        """Return the answers to some texts, in the form of the labels that it was fitted to."""
        return np.asarray(self.classifier.predict(self.tfidf.transform(list(texts))))


def fit_svm(texts: Sequence[str], labels: np.ndarray, *, seed: int) -> FittedSvm:
    """Fit LinearSVC at C = 1 (Fan et al. 2008) to words and parts of words. StageError G510.

    `labels` has a label for each text, or a column of 0 and 1 for each label: then one machine is fitted to each.
    """
    tfidf = words_and_characters()
    try:
        rows = tfidf.fit_transform(list(texts))
        machine = _machine(seed)
        if labels.ndim == 1:
            return FittedSvm(tfidf=tfidf, classifier=machine.fit(rows, labels.tolist()))
    except ValueError as error:
        raise _refused(error) from error
    return FittedSvm(tfidf=tfidf, classifier=fit_classifier(lambda: _machine(seed), rows, labels))


def tfidf_svm(
    train_texts: Sequence[str], train_labels: Sequence[str], texts: Sequence[str], *, seed: int
) -> list[str]:
    """Train on the training split alone and return one label for each of `texts`.

    The same input gives the same labels. StageError G510 when the training texts are blank or all have one label.
    """
    fitted = fit_svm(train_texts, np.array(train_labels, dtype=object), seed=seed)
    return [str(label) for label in fitted.answers(texts)]


def tfidf_svm_of_each(
    train_texts: Sequence[str],
    train_labels: Sequence[frozenset[str]],
    texts: Sequence[str],
    *,
    labels: Sequence[str],
    seed: int,
) -> list[frozenset[str]]:
    """Train one machine a label, it against the rest, and return the labels of each of `texts`.

    A label that all training rows have, or none, is predicted for every text, or for none. StageError G510
    when the training texts are blank.
    """
    given = np.array([[label in found for label in labels] for found in train_labels], dtype=int)
    fitted = fit_svm(train_texts, given, seed=seed)
    return [
        frozenset(label for label, has in zip(labels, row, strict=True) if has)
        for row in fitted.answers(texts)
    ]


def _machine(seed: int) -> Any:
    return LinearSVC(C=1.0, max_iter=10_000, random_state=seed)


def _refused(error: ValueError) -> StageError:
    return StageError.one(
        "G510",
        f"tfidf_svm cannot learn from the training rows: {str(error).splitlines()[0]}",
        path="baselines",
        hint="remove tfidf_svm from baselines",
    )
