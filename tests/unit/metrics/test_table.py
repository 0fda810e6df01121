from collections.abc import Callable, Mapping

import numpy as np
import pytest

from engine.metrics.predictions import Prediction
from engine.metrics.table import Column, group_numbers, make_table, one_hot, same_rows, scattered

Answers = Callable[[Mapping[str, str]], list[Prediction]]


def test_sums_are_read_by_name(answers: Answers) -> None:
    rows = answers({"a": "aab"})
    made = make_table(
        rows,
        {
            "given": Column(one_hot(np.array([0, 0, 1]), 2)),
            "weight": Column(np.array([1.0, 2.0, 4.0]), right=np.zeros(3)),
        },
        names=("a", "b"),
    )

    sums = made.sums()

    assert (sums["rows"], sums["weight"]) == (3, 7)
    assert sums["given"].tolist() == [2, 1]
    assert made.column("weight").tolist() == [1, 2, 4]
    assert made.right.sum() == 6
    assert made.wrong.sum() == made.answered.sum()


def test_a_place_outside_leaves_its_row_empty() -> None:
    assert one_hot(np.array([1, 2, -1]), 2).toarray().tolist() == [[0, 1], [0, 0], [0, 0]]
    assert one_hot(np.array([1, 0]), 2, np.array([5.0, 6.0])).toarray().tolist() == [[0, 5], [6, 0]]


def test_values_stand_at_their_places() -> None:
    found = scattered([{1: 2.0}, {}, {0: 1.0, 1: 3.0}], 2)

    assert found.toarray().tolist() == [[0, 2], [0, 0], [1, 3]]
    assert scattered([], 2).shape == (0, 2)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["", "", ""], None),
        (["x", "y", "z"], None),
        (["x", "y", "x"], [0, 1, 0]),
        (["x", "", "x", ""], [0, 1, 0, 2]),
        (["x", "", "y"], None),
        (["", "", "y"], None),
        ([], None),
    ],
)
def test_rows_are_numbered_by_group(groups: list[str], expected: list[int] | None) -> None:
    found = group_numbers(groups)

    assert (None if found is None else found.tolist()) == expected


def test_models_judged_on_different_rows_are_not_compared(answers: Answers) -> None:
    with pytest.raises(ValueError, match="different rows"):
        same_rows(answers({"a": "ab"}), answers({"a": "abb"}))
    with pytest.raises(ValueError, match="different rows"):
        same_rows(answers({"a": "ab"}), answers({"b": "ab"}))
