import random

import numpy as np
import pytest

from engine.errors import StageError
from engine.runtime.text import tfidf
from engine.runtime.text.tfidf import nearest, nearness, words_and_characters

SEARCHED = [
    "the card has not arrived yet",
    "how do I change my PIN",
    "the exchange rate was wrong",
    "my card was stolen in Rome",
]


def test_the_nearest_text_shares_words() -> None:
    found = nearest(SEARCHED, ["where can the PIN be changed", "has the card arrived"], count=1)

    assert found == [(1,), (0,)]


def test_nearness_is_that_of_the_nearest_text_and_1_for_an_equal_one() -> None:
    equal, near, far = nearness(SEARCHED)([SEARCHED[2], "the card arrived", "xyzzy"])

    assert equal == pytest.approx(1.0)
    assert 1 > near > far


def test_spelling_mistakes_are_near_by_parts_of_words() -> None:
    assert nearest(SEARCHED, ["exchnage rates worng"], count=1) == [(2,)]


def test_equal_texts_come_in_their_order() -> None:
    assert nearest(["same words"] * 5, ["same words here"], count=3) == [(0, 1, 2)]


def test_a_barred_text_is_not_given_and_the_next_one_is() -> None:
    ((first, second),) = nearest(SEARCHED, [SEARCHED[1]], count=2)

    assert [(second,)] == nearest(SEARCHED, [SEARCHED[1]], count=1, barred={0: {first}})


def test_more_than_there_are_is_all_of_them() -> None:
    (found,) = nearest(SEARCHED, ["card"], count=9, barred={0: {2}})

    assert {0, 1, 3} == set(found)
    assert nearest(SEARCHED, ["card"], count=3, barred={0: range(4)}) == [()]


def test_nothing_to_search_gives_nothing() -> None:
    assert nearest([], ["card"], count=3) == [()]


def test_a_text_that_shares_nothing_gets_the_first_ones() -> None:
    assert nearest(SEARCHED, ["ξένος"], count=2) == [(0, 1)]


def test_blank_training_texts_are_reported() -> None:
    with pytest.raises(StageError, match="G521"):
        nearest(["", " "], ["card"], count=1)


def test_a_few_at_a_time_gives_the_same_as_a_plain_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.preprocessing import normalize

    draw = random.Random(3)
    words = ["card", "pin", "rate", "stolen", "top", "up", "fee", "cash"]
    searched = [" ".join(draw.choices(words, k=4)) for _ in range(200)]
    texts = [" ".join(draw.choices(words, k=3)) for _ in range(37)]
    vectorizer = words_and_characters()
    rows = normalize(vectorizer.fit_transform(searched)).toarray()
    exact = np.round(normalize(vectorizer.transform(texts)).toarray() @ rows.T, 9)
    expected = [
        tuple(sorted(range(200), key=lambda place: (-line[place], place))[:7]) for line in exact
    ]
    monkeypatch.setattr(tfidf, "CELLS", 1000)

    assert expected == nearest(searched, texts, count=7)
