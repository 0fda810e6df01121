"""The classical baseline: TF-IDF and a linear support vector machine, in seconds on one core."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from engine.errors import StageError

WORD = r"(?u)\w+|[^\w\s]"
"""A word of any length, or one other mark: `!`, an emoji."""


def tfidf_svm(
    train_texts: Sequence[str], train_labels: Sequence[str], texts: Sequence[str], *, seed: int
) -> list[str]:
    """Train on the training split alone and return one label for each of `texts`.

    Word unigrams and bigrams beside character 2- to 5-grams inside words, log-scaled counts, L2-
    normalised; LinearSVC at C = 1 (Fan et al. 2008). The same input gives the same labels.
    StageError G510 when the training texts are blank or all have one label.
    """
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    model = make_pipeline(
        make_union(words, characters), LinearSVC(C=1.0, max_iter=10_000, random_state=seed)
    )
    try:
        model.fit(list(train_texts), list(train_labels))
    except ValueError as error:
        raise StageError.one(
            "G510",
            f"tfidf_svm cannot learn from the training rows: {str(error).splitlines()[0]}",
            path="baselines",
            hint="remove tfidf_svm from baselines",
        ) from error
    return [str(label) for label in model.predict(list(texts))]
