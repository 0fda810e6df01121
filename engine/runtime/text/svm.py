"""The classical baseline: TF-IDF and a linear support vector machine, in seconds on one core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_union
from sklearn.svm import LinearSVC

from engine.errors import StageError
from engine.values import Value

WORD = r"(?u)\w+|[^\w\s]"
"""A word of any length, or one other mark: `!`, an emoji."""


def words_and_characters() -> Any:
    """Return an unfitted transformer of texts into sparse rows.

    Word unigrams and bigrams beside character 2- to 5-grams inside words, log-scaled counts, each
    of the two L2-normalised.
    """
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return make_union(words, characters)


def fit_classifier(new: Callable[[], Any], rows: Any, labels: np.ndarray) -> Any:
    """Return a fitted classifier of rows; `new` gives an unfitted one.

    `labels` has a label for each row, or a column of 0 and 1 for each label: then one classifier is fitted to
    each column, and an answer has as many columns. A single class is answered always.
    """
    if labels.ndim > 1:
        several = MultiOutputClassifier(new())
        several.estimators_ = [fit_classifier(new, rows, column) for column in labels.T]
        return several
    # Neither LinearSVC nor LogisticRegression learns from a single class.
    is_single = len(set(labels.tolist())) == 1
    model = DummyClassifier(strategy="most_frequent") if is_single else new()
    return model.fit(rows, labels)


class FittedSvm(Value):
    """The weights of words and parts of words, and the classifier of the rows that they make."""

    tfidf: Any
    classifier: Any

    def answers(self, texts: Sequence[str]) -> np.ndarray:
        """Return the answers to some texts, in the form of the labels that it was fitted to."""
        return np.asarray(self.classifier.predict(self.tfidf.transform(list(texts))))


def fit_svm(texts: Sequence[str], labels: np.ndarray, *, seed: int) -> FittedSvm:
    """Fit LinearSVC at C = 1 (Fan et al. 2008) to words and parts of words.

    `labels` has a label for each text, or a column of 0 and 1 for each label: then one machine is fitted to each.
    StageError G510 for texts that are blank, or have one label.
    """

    def machine() -> Any:
        return LinearSVC(C=1.0, max_iter=10_000, random_state=seed)

    tfidf = words_and_characters()
    try:
        rows = tfidf.fit_transform(list(texts))
        if labels.ndim == 1:
            return FittedSvm(tfidf=tfidf, classifier=machine().fit(rows, labels.tolist()))
    except ValueError as error:
        what = f"tfidf_svm cannot learn from the training rows: {str(error).splitlines()[0]}"
        hint = "remove tfidf_svm from baselines"
        raise StageError.one("G510", what, path="baselines", hint=hint) from error
    return FittedSvm(tfidf=tfidf, classifier=fit_classifier(machine, rows, labels))
