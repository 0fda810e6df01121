"""Validation rows out of the training rows: how many, of which, and that the holdout does not notice."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.row_index import Assignment
from engine.data.splitting.recorded import held_by, membership
from engine.data.splitting.splits import divide
from engine.recipe.model import FROM_TRAIN, Splits
from engine.values import replace
from support.pools import Made, asked, pool_of, texts


def made(count: int) -> list[Made]:
    """Rows of two classes, one of them rare, with groups of three, two times a day, and places."""
    return [
        Made(
            text=f"text {n}",
            labels=("a" if n % 4 else "b",),
            group=f"group {n // 3}",
            time=float(n // 2),
            place=Assignment.HOLDOUT if n % 5 == 0 else Assignment.TRAIN,
        )
        for n in range(count)
    ]


WAYS: dict[str, dict[str, Any]] = {
    "rows": {"train": 300, "holdout": 100},
    "all that is left": {"train": "all", "holdout": 100},
    "fractions": {"train": 0.6, "holdout": 0.2},
    "random": {"by": "random", "train": 300, "holdout": 100},
    "group": {"by": "group", "column": "group", "train": "all", "holdout": 100},
    "time": {"by": "time", "column": "time", "train": 0.6, "holdout": 0.2},
    "files": {"by": "files", "train": "all", "holdout": "all"},
    "folds": {"train": "all", "holdout": 0.2, "folds": 5},
}


def both(splits: Splits, rows: list[Made]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The texts of each split without validation rows, and with those that are drawn from train."""
    found = []
    for one in (replace(splits, validation=0), replace(splits, validation=FROM_TRAIN)):
        pool = pool_of(rows, one)
        division = divide(pool, one)
        assert division.problems == []
        found.append(texts(pool, division))
    return found[0], found[1]


@pytest.mark.parametrize("way", WAYS)
def test_part_of_the_training_rows_validates_and_the_holdout_stays(way: str) -> None:
    without, drawn = both(asked(**WAYS[way]), made(600))

    assert without["holdout"] == drawn["holdout"]
    assert without["validation"] == []
    assert sorted(without["train"]) == sorted(drawn["train"] + drawn["validation"])
    assert 0.13 <= len(drawn["validation"]) / len(without["train"]) <= 0.17


def test_several_labels_a_row_leave_the_holdout_where_it_is() -> None:
    rows = [replace(row, labels=("a", "b")[: 1 + n % 2]) for n, row in enumerate(made(400))]
    without, drawn = both(asked(train=200, holdout=100), rows)

    assert without["holdout"] == drawn["holdout"]
    assert len(drawn["validation"]) == 30


@pytest.mark.parametrize(
    ("train", "validation"), [(20, 10), (40, 20), (100, 30), (400, 60), (900, 100)]
)
def test_fifteen_percent_but_thirty_to_a_hundred_and_never_more_than_half(
    train: int, validation: int
) -> None:
    _, drawn = both(asked(train=train, holdout=50), made(1000))

    assert len(drawn["validation"]) == validation
    assert len(drawn["train"]) == train - validation


def test_classes_come_out_in_proportion_where_the_split_is_stratified() -> None:
    rows = made(500)
    label = {row.text: row.labels[0] for row in rows}
    _, drawn = both(asked(train=400, holdout=100), rows)

    assert Counter(label[text] for text in drawn["validation"]) == {"a": 45, "b": 15}


def test_by_time_the_latest_training_rows_validate_and_equal_times_stay_together() -> None:
    rows = made(300)
    time = {row.text: row.time for row in rows}
    _, drawn = both(asked(by="time", column="time", train="all", holdout=100), rows)

    assert max(time[text] for text in drawn["train"]) < min(
        time[text] for text in drawn["validation"]
    )


def test_one_training_row_cannot_validate() -> None:
    splits = asked(train=1, holdout=2, validation=FROM_TRAIN)
    division = divide(pool_of(made(9), splits), splits)

    assert [(one.code, one.path) for one in division.problems] == [("D311", "splits.validation")]


@given(more=st.integers(0, 60), train=st.sampled_from([100, "all"]))
def test_a_record_holds_holdout_and_validation_when_rows_are_added(more: int, train: Any) -> None:
    splits = asked(train=train, holdout=40, validation=FROM_TRAIN)
    pool = pool_of(made(200), splits)
    first = divide(pool, splits)
    larger = pool_of(made(200 + more), splits)
    again = divide(larger, splits, held_by(membership(pool, first.drawn)))
    before, after = texts(pool, first), texts(larger, again)

    assert set(before["holdout"]) == set(after["holdout"])
    assert set(before["validation"]) <= set(after["validation"])
    if not more:
        assert before == after


def test_a_recorded_holdout_stays_when_best_is_asked_for_later() -> None:
    without = asked(train=100, holdout=40, validation=0)
    pool = pool_of(made(200), without)
    first = divide(pool, without)
    later = replace(without, validation=FROM_TRAIN)
    again = divide(pool, later, held_by(membership(pool, first.drawn)))

    assert texts(pool, first)["holdout"] == texts(pool, again)["holdout"]
    assert len(texts(pool, again)["validation"]) == 30
    assert len(texts(pool, again)["train"]) == 70
