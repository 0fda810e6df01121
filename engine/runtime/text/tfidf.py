"""Texts as weighted counts of words: the classical baseline, the nearest texts to a text, and how likely labels are."""

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_union
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from engine.errors import StageError
from engine.values import Value

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


CELLS = 4_000_000
"""Similarities held at a time."""
DIGITS = 9
"""Similarities that agree to so many digits are equal: sums of floats differ in the last ones."""


def nearest(
    searched: Sequence[str],
    texts: Sequence[str],
    *,
    count: int,
    barred: Mapping[int, Collection[int]] | None = None,
) -> list[tuple[int, ...]]:
    """Return for each of `texts` the places of the `count` nearest of `searched`, the nearest first.

    `barred` names, by place of a text, the places that it shall not be given. StageError G521 when
    the searched texts hold no words.
    """
    if not texts or not searched or count < 1:
        return [()] * len(texts)
    return [
        _best(similar, count, (barred or {}).get(place, ()))
        for place, similar in enumerate(_similar_to(searched)(texts))
    ]


def nearness(searched: Sequence[str]) -> Callable[[Sequence[str]], list[float]]:
    """Return what tells of texts how similar the nearest of `searched` is, 0 to 1. StageError G521 as `nearest`."""
    similar_to = _similar_to(searched)
    return lambda texts: [float(similar.max()) for similar in similar_to(texts)]


def _similar_to(searched: Sequence[str]) -> Callable[[Sequence[str]], Iterator[Any]]:
    """Return what yields for each of some texts its similarity to every searched one, a few texts at a time."""
    vectorizer = words_and_characters()
    try:
        rows = normalize(vectorizer.fit_transform(list(searched)))
    except ValueError as error:
        what = f"no training row can be searched: {str(error).splitlines()[0]}"
        hint = "remove retrieved_few_shot from baselines"
        raise StageError.one("G521", what, path="baselines", hint=hint) from error

    def of(texts: Sequence[str]) -> Iterator[Any]:
        step = max(1, CELLS // rows.shape[0])
        for start in range(0, len(texts), step):
            asked = normalize(vectorizer.transform(list(texts[start : start + step])))
            yield from np.round((asked @ rows.T).toarray(), DIGITS)

    return of


def _best(similar: Any, count: int, barred: Collection[int]) -> tuple[int, ...]:
    """Return the places of the `count` highest values, highest first, equal ones by place."""
    similar = similar.copy()
    similar[list(barred)] = -np.inf
    least = min(count, len(similar) - len(barred))
    if least < 1:
        return ()
    bound = np.partition(similar, len(similar) - least)[len(similar) - least]
    found = np.flatnonzero(similar >= bound)
    # Stable, so that equal similarities stay in the order of their places.
    order = found[np.argsort(-similar[found], kind="stable")]
    return tuple(int(place) for place in order[:least])


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
