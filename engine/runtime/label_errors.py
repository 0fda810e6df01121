"""Out-of-sample probabilities of labels: TF-IDF and logistic regression, cross-validated."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union

from engine.runtime.svm import WORD

STRENGTH = 10.0
"""Inverse of the regularisation: of 1, 10 and 100 the one with the best balance on planted errors."""
FEATURES = 50_000


def out_of_sample(
    texts: Sequence[str], labels: Sequence[int], folds: Sequence[int]
) -> NDArray[np.float64]:
    """Return rows x labels: how likely each label is to models that did not see the row.

    `folds` says in which part each row is held out; every label must stand outside every part.
    Word unigrams and bigrams beside character 3- and 4-grams; one logistic regression for each
    label (liblinear, dual), normalised over the labels. The same input gives the same numbers.
    """
    given, parts = np.asarray(labels), np.asarray(folds)
    likely = np.zeros((len(texts), int(given.max()) + 1))
    for part in np.unique(parts):
        seen = np.flatnonzero(parts != part).tolist()
        held = np.flatnonzero(parts == part).tolist()
        model = _model()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit([texts[row] for row in seen], given[seen])
        likely[held] = model.predict_proba([texts[row] for row in held])
    return likely


def _model() -> Any:  # noqa: ANN401 - scikit-learn has no types
    words = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD, max_features=FEATURES
    )
    characters = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, max_features=FEATURES
    )
    judge = LogisticRegression(C=STRENGTH, solver="liblinear", dual=True, tol=0.1, random_state=0)
    return make_pipeline(make_union(words, characters), OneVsRestClassifier(judge))
