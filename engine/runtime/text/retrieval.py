"""The nearest texts to a text, by TF-IDF: what a prompt would be given instead of training.

Words and parts of words as the SVM counts them, weighted on the texts that are searched, compared
by the cosine. Equal similarities are ordered by place, so the same texts give the same neighbours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import normalize

from engine.errors import StageError
from engine.runtime.text.tfidf import words_and_characters

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
    vectorizer = words_and_characters()
    try:
        rows = normalize(vectorizer.fit_transform(list(searched)))
    except ValueError as error:
        raise StageError.one(
            "G521",
            f"no training row can be searched: {str(error).splitlines()[0]}",
            path="baselines",
            hint="remove retrieved_few_shot from baselines",
        ) from error
    return [
        _best(similar, count, (barred or {}).get(place, ()))
        for place, similar in enumerate(_similarities(vectorizer, rows, texts))
    ]


def _similarities(
    vectorizer: Any,
    rows: Any,
    texts: Sequence[str],
) -> Iterator[Any]:
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
