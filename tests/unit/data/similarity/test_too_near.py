"""Whether a text is too near rows that judge: copies, nearly copies and reworded ones."""

import random

import pytest

from engine.data.similarity.overlap import TooNear
from support.project import BAD, GOOD
from support.project import rows as alike
from support.written_rows import labelled, parts, reworded, sentence

JUDGING = [text for text, _ in labelled(40, seed=2)]
TRAIN = [text for text, _ in labelled(60, seed=3)]


def others(count: int) -> list[str]:
    draw = random.Random(9)
    return [
        sentence(parts(draw, GOOD if number % 2 else BAD), draw.randrange(1000))
        for number in range(count)
    ]


def test_copies_and_reworded_copies_are_too_near_and_other_rows_of_the_domain_are_not() -> None:
    filter_ = TooNear(JUDGING, TRAIN)

    assert all(filter_(JUDGING))
    assert all(filter_([text.upper() for text in JUDGING]))
    assert all(filter_([reworded(text) for text in JUDGING]))
    assert sum(filter_(others(200))) <= 2


@pytest.mark.parametrize(
    ("text", "is_near"),
    [
        ("My card was charged twice for one order last week", True),
        ("my card was charged twice for a single order last week", True),
        ("for one order last week, twice, my card was charged", True),
        ("The app closes itself as soon as I open a photo", False),
        ("One order came last week", False),
        ("", False),
    ],
)
def test_a_sentence_is_found_in_another_order_and_with_some_other_words(
    text: str, is_near: bool
) -> None:
    judging = ["My card was charged twice for one order last week", "How do I reset it?"]
    train = ["The app crashes when I open it", "Where do I find my last invoice of this year"]

    assert TooNear(judging, train)([text]) == (is_near,)


def test_rows_that_are_all_much_alike_are_not_all_too_near() -> None:
    every = [text for text, _ in alike(140)]
    filter_ = TooNear(every[:40], every[40:100])

    assert sum(filter_(every[100:])) < 20
    assert all(filter_(every[:40]))


def test_without_rows_that_judge_or_train_nothing_is_near_by_its_words() -> None:
    assert TooNear([], TRAIN)(["anything"]) == (False,)
    assert TooNear(JUDGING, [])([*JUDGING[:1], "nothing of it is like that at all"]) == (
        True,
        False,
    )
