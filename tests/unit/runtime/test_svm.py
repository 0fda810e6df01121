from __future__ import annotations

import pytest
from project import rows

from engine.errors import StageError
from engine.runtime.svm import tfidf_svm


def test_it_learns_what_words_tell_and_twice_the_same() -> None:
    train, holdout = rows(80, seed=1), rows(40, seed=2)
    texts, labels = [text for text, _ in train], [label for _, label in train]

    found = tfidf_svm(texts, labels, [text for text, _ in holdout], seed=7)

    assert found == [label for _, label in holdout]
    assert found == tfidf_svm(texts, labels, [text for text, _ in holdout], seed=7)


def test_single_letters_and_marks_are_features_too() -> None:
    texts, labels = ["!", "?", "a", "b"] * 3, ["up", "down", "up", "down"] * 3

    assert tfidf_svm(texts, labels, ["!", "?", "a", "b"], seed=7) == ["up", "down", "up", "down"]


@pytest.mark.parametrize(
    ("texts", "labels"), [(["good", "bad"], ["a", "a"]), ([" ", "\n"], ["a", "b"])]
)
def test_rows_that_teach_nothing_are_told(texts: list[str], labels: list[str]) -> None:
    with pytest.raises(StageError, match="G510  baselines: tfidf_svm cannot learn"):
        tfidf_svm(texts, labels, ["x"], seed=7)
