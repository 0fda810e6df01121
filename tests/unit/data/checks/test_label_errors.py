"""Label errors by confident learning: planted ones are found, clean data has none."""

import random
import tracemalloc

import numpy as np
import pytest

from engine.data.checks import model_checks
from engine.data.checks.model_checks import _drawn, _folds, find_label_errors, looked_at

TOPICS = {
    "food": "soup bread cheese apple dinner cook salt oven taste plate",
    "travel": "train ticket hotel beach flight map luggage border ferry road",
    "music": "guitar song drum concert melody choir piano tune band stage",
}
WORDS = {label: words.split() for label, words in TOPICS.items()}


def made(rows: int, seed: int = 1) -> tuple[list[str], list[str]]:
    draw = random.Random(seed)
    labels = [draw.choice(sorted(WORDS)) for _ in range(rows)]
    return [" ".join(draw.choices(WORDS[label], k=8)) for label in labels], labels


def test_clean_data_has_no_suspects() -> None:
    texts, labels = made(300)

    assert find_label_errors(texts, labels, seed=1) == []


def test_planted_errors_are_found_with_the_right_label() -> None:
    texts, right = made(300)
    labels = list(right)
    planted = random.Random(2).sample(range(300), 15)
    for row in planted:
        labels[row] = next(label for label in sorted(WORDS) if label != right[row])
    found = find_label_errors(texts, labels, seed=1)

    assert {one.index for one in found} <= set(planted)
    assert len(found) >= 12  # 13 of the 15
    assert all(one.suggested == right[one.index] for one in found)
    assert all(one.given == labels[one.index] for one in found)
    assert [one.confidence for one in found] == sorted(
        (one.confidence for one in found), reverse=True
    )


def test_the_order_of_the_rows_does_not_matter() -> None:
    texts, labels = made(200)
    labels[3] = "music" if labels[3] != "music" else "food"
    turned = find_label_errors(texts[::-1], labels[::-1], seed=1)
    found = find_label_errors(texts, labels, seed=1)

    assert [199 - one.index for one in turned] == [one.index for one in found] == [3]
    assert found == find_label_errors(texts, labels, seed=1)


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        ([], []),
        (["a b c"] * 9, ["x"] * 9),
        (["one text"] * 20, ["x", "y"] * 10),  # fewer than 5 different texts of a label
        ([" " * (number + 1) for number in range(20)], ["x", "y"] * 10),
    ],
)
def test_nothing_is_reported_where_nothing_can_be_learnt(
    texts: list[str], labels: list[str]
) -> None:
    assert find_label_errors(texts, labels, seed=1) == []


def test_rare_labels_are_left_out() -> None:
    texts, labels = made(200)
    labels[0] = "rare"

    assert find_label_errors(texts, labels, seed=1) == []


def test_equal_texts_stand_in_one_part() -> None:
    keys = [bytes([number // 2]) for number in range(40)]
    parts = _folds(keys, [0] * 40)

    assert parts[::2] == parts[1::2]
    assert {parts.count(part) for part in range(5)} == {8}


def test_a_sample_is_reported() -> None:
    assert looked_at(50_000, 2) == ""
    assert looked_at(60_000, 2) == " (a sample of 50,000 of 60,000 rows was looked at)"
    assert looked_at(20_000, 150) == " (a sample of 8,000 of 20,000 rows was looked at)"


def test_of_many_rows_no_more_are_held_than_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_checks, "LARGEST", 100)
    rows = 20_000
    labels = ["a", "b"] * (rows // 2)
    tracemalloc.start()
    drawn = _drawn((f"text {row}" for row in range(rows)), labels, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(drawn) == 100
    assert list(drawn.values()) == sorted(drawn.values())
    assert set(drawn) == set(_drawn([f"text {row}" for row in range(rows)], labels, seed=1))
    assert peak < 200_000  # bytes; the keys of all rows are a million


def test_terms_and_weights_come_from_the_seen_rows_alone() -> None:
    vectorizers = pytest.importorskip("sklearn.feature_extraction.text")
    from engine.runtime.text.tfidf import (
        WORD,  # scikit-learn
        _weighted,  # scikit-learn
    )

    texts = [*made(60)[0], "zebra"]
    seen, held = np.arange(50), np.arange(50, 61)
    words = vectorizers.CountVectorizer(ngram_range=(1, 2), token_pattern=WORD, dtype=float)
    got = _weighted(words.fit_transform(texts), seen, held)
    tfidf = vectorizers.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
    tfidf.fit(texts[:50])

    for rows, part in zip(got, (texts[:50], texts[50:]), strict=True):
        np.testing.assert_allclose(rows.toarray(), tfidf.transform(part).toarray())
