"""The nearest texts to a text, by TF-IDF: what a prompt would be given instead of training.

Words and parts of words as the SVM counts them, weighted on the texts that are searched, compared
by the cosine. Equal similarities are ordered by place, so the same texts give the same neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import normalize

from engine.errors import StageError
from engine.runtime.text.svm import words_and_characters

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
    vectorizer, rows = _fitted(searched)
    return [
        _best(similar, count, (barred or {}).get(place, ()))
        for place, similar in enumerate(_similarities(vectorizer, rows, texts))
    ]


def nearness(searched: Sequence[str]) -> Callable[[Sequence[str]], list[float]]:
    """Return what tells of texts how similar the nearest of `searched` is, 0 to 1. StageError G521 as `nearest`."""
    vectorizer, rows = _fitted(searched)

    def of(texts: Sequence[str]) -> list[float]:
        return [float(similar.max()) for similar in _similarities(vectorizer, rows, texts)]

    return of


def _fitted(searched: Sequence[str]) -> tuple[Any, Any]:
    """Return the fitted vectorizer and the vectors of the searched texts."""
    vectorizer = words_and_characters()
    try:
        return vectorizer, normalize(vectorizer.fit_transform(list(searched)))
    except ValueError as error:
        what = f"no training row can be searched: {str(error).splitlines()[0]}"
        hint = "remove retrieved_few_shot from baselines"
        raise StageError.one("G521", what, path="baselines", hint=hint) from error


def _similarities(vectorizer: Any, rows: Any, texts: Sequence[str]) -> Iterator[Any]:
    """Yield for each text its similarity to every row, a few texts at a time."""
    step = max(1, CELLS // rows.shape[0])
    for start in range(0, len(texts), step):
        asked = normalize(vectorizer.transform(list(texts[start : start + step])))
        yield from np.round((asked @ rows.T).toarray(), DIGITS)


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
