"""Out-of-sample probabilities of labels: TF-IDF and logistic regression, cross-validated."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from engine.runtime.text.svm import WORD

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
    # Texts are cut into terms once, not once for each part.
    counters = (
        CountVectorizer(ngram_range=(1, 2), token_pattern=WORD, dtype=np.float64),
        CountVectorizer(analyzer="char_wb", ngram_range=(3, 4), dtype=np.float64),
    )
    counted = [counter.fit_transform(texts) for counter in counters]
    for part in np.unique(parts):
        seen, held = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        weighted = [_weighted(counts, seen, held) for counts in counted]
        model = OneVsRestClassifier(
            LogisticRegression(C=STRENGTH, solver="liblinear", dual=True, tol=0.1, random_state=0)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(hstack([one for one, _ in weighted]).tocsr(), given[seen])
        likely[held] = model.predict_proba(hstack([other for _, other in weighted]).tocsr())
    return likely


def _weighted(counts: Any, seen: NDArray[np.intp], held: NDArray[np.intp]) -> tuple[Any, Any]:
    """Return the TF-IDF of the seen and of the held rows: terms and weights are the seen rows' alone.

    As `TfidfVectorizer(max_features=FEATURES)` fitted on the seen rows. ValueError when they hold
    no term.
    """
    rows = counts[seen]
    totals = np.asarray(rows.sum(axis=0)).ravel()
    terms = np.sort(np.argsort(-totals)[: min(FEATURES, np.count_nonzero(totals))])
    if not len(terms):
        raise ValueError("empty vocabulary")
    rows = rows[:, terms]
    weigh = TfidfTransformer(sublinear_tf=True).fit(rows)
    return weigh.transform(rows), weigh.transform(counts[held][:, terms])
