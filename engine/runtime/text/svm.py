"""The classical baseline: TF-IDF and a linear support vector machine, in seconds on one core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from engine.errors import StageError
from engine.runtime.text.tfidf import words_and_characters


def tfidf_svm(
    train_texts: Sequence[str], train_labels: Sequence[str], texts: Sequence[str], *, seed: int
) -> list[str]:
    """Train on the training split alone and return one label for each of `texts`.

    LinearSVC at C = 1 (Fan et al. 2008) on words and parts of words. The same input gives the same
    labels. StageError G510 when the training texts are blank or all have one label.
    """
    model = make_pipeline(words_and_characters(), _machine(seed))
    try:
        model.fit(list(train_texts), list(train_labels))
    except ValueError as error:
        raise _refused(error) from error
    return [str(label) for label in model.predict(list(texts))]


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
    vectorizer = words_and_characters()
    try:
        rows = vectorizer.fit_transform(list(train_texts))
    except ValueError as error:
        raise _refused(error) from error
    asked = vectorizer.transform(list(texts))
    found_labels: list[set[str]] = [set() for _ in texts]
    for label in labels:
        has = [label in found for found in train_labels]
        for place in _places(has, rows, asked, seed=seed):
            found_labels[place].add(label)
    return [frozenset(found) for found in found_labels]


def _places(has: Sequence[bool], rows: Any, asked: Any, *, seed: int) -> list[int]:
    # LinearSVC refuses to learn from a single class.
    if len(set(has)) == 1:
        return list(range(asked.shape[0])) if has[0] else []
    found = _machine(seed).fit(rows, list(has)).predict(asked)
    return [place for place, yes in enumerate(found) if yes]


def _machine(seed: int) -> Any:
    return LinearSVC(C=1.0, max_iter=10_000, random_state=seed)


def _refused(error: ValueError) -> StageError:
    return StageError.one(
        "G510",
        f"tfidf_svm cannot learn from the training rows: {str(error).splitlines()[0]}",
        path="baselines",
        hint="remove tfidf_svm from baselines",
    )
