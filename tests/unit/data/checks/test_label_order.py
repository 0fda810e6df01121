"""Labels that stand one row too late or too early, which no model learns."""

import random

import pytest

from engine.data.checks.model_checks import find_moved_labels

WORDS = {"good": ("fine", "lovely", "great"), "bad": ("awful", "dull", "poor")}


def rows(count: int = 300, *, noise: float = 0.1) -> tuple[list[str], list[str]]:
    draw = random.Random(5)
    labels = [draw.choice(["good", "bad"]) for _ in range(count)]
    written = [
        label if draw.random() > noise else {"good": "bad", "bad": "good"}[label]
        for label in labels
    ]
    texts = [f"the {draw.choice(WORDS[one])} thing number {n}" for n, one in enumerate(written)]
    return texts, labels


@pytest.mark.parametrize("rows_on", [1, -1])
def test_moved_labels_are_known_by_their_neighbours(rows_on: int) -> None:
    texts, labels = rows()
    moved = labels[-rows_on:] + labels[:-rows_on]

    found = find_moved_labels(texts, moved)

    assert found is not None
    assert found.rows_on == rows_on
    assert found.moved > 0.8
    assert found.own < 0.6


def test_labels_at_their_place_are_not_moved() -> None:
    assert find_moved_labels(*rows()) is None


def test_labels_that_nothing_predicts_are_not_moved() -> None:
    texts, labels = rows()
    random.Random(6).shuffle(labels)

    assert find_moved_labels(texts, labels) is None


def test_of_few_rows_nothing_is_known() -> None:
    texts, labels = rows(20)

    assert find_moved_labels(texts, labels[1:] + labels[:1]) is None


def test_turns_whose_next_label_follows_from_them_are_not_moved() -> None:
    texts = [f"{'ask' if n % 2 else 'answer'} {n % 7}" for n in range(300)]

    assert find_moved_labels(texts, ["question" if n % 2 else "reply" for n in range(300)]) is None


def test_a_label_of_one_text_in_many_rows_is_left_out() -> None:
    texts, labels = rows()
    moved = labels[-1:] + labels[:-1]

    found = find_moved_labels([*texts, *["the same"] * 8], [*moved, *["other"] * 8])

    assert found is not None
    assert found.rows_on == 1
