"""Texts as weighted counts of words and parts of words; what the SVM and the retrieval of shots stand on."""

from __future__ import annotations

from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union

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
