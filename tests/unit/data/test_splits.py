"""Splits depend on content and seed alone."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.candidates import Candidate
from engine.data.example import content_key
from engine.data.splits import ORDER, apportion, divide, missing_classes
from engine.recipe.model import Splits


def candidate(text: str, label: str = "a", origin: str = "x:1") -> Candidate:
    return Candidate(origin=origin, input=text, label=label, key=content_key(text))


def some(count: int, labels: str = "ab") -> list[Candidate]:
    return [candidate(f"text {n}", labels[n % len(labels)]) for n in range(count)]


def asked(**changes: Any) -> Splits:
    fields = {"by": "stratified", "train": 6, "validation": 2, "holdout": 4, "seed": 7, **changes}
    return Splits(**fields)


def texts(divided: Any) -> dict[str, list[str]]:
    return {name: [one.input for one in divided[name]] for name in ORDER}


populations = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from("abc")), min_size=12, max_size=80
).map(lambda rows: [candidate(f"Text {n}", label) for n, label in rows])


@settings(deadline=None)
@given(
    rows=populations,
    seed=st.integers(0, 9),
    by=st.sampled_from(["random", "stratified"]),
    sizes=st.sampled_from([(6, 2, 4), (0.6, 0.1, 0.3), (1, 0, 2), (0.2, 0.0, 0.1)]),
    shuffle=st.integers(0, 99),
)
def test_the_order_of_rows_changes_nothing_and_no_text_stands_in_two_splits(
    rows: list[Candidate], seed: int, by: str, sizes: tuple[float, ...], shuffle: int
) -> None:
    train, validation, holdout = sizes
    splits = asked(by=by, train=train, validation=validation, holdout=holdout, seed=seed)
    other = list(rows)
    random.Random(shuffle).shuffle(other)
    divided, problems = divide(rows, splits)
    again, _ = divide(other, splits)

    assert texts(divided) == texts(again)
    keys = [{one.key for one in divided[name]} for name in ORDER]
    assert not keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2]
    if isinstance(train, int) and not problems:
        assert all(len(divided[name]) <= getattr(splits, name) for name in ORDER)


@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 50), min_size=1), st.data())
def test_apportioned_shares_sum_up_and_fit(weights: dict[str, int], data: st.DataObject) -> None:
    everything = sum(weights.values())
    total = data.draw(st.integers(0, everything))
    shares = apportion(total, weights)

    assert sum(shares.values()) == total
    assert all(0 <= shares[name] <= weights[name] for name in weights)
    if everything:
        exact = {name: total * weight / everything for name, weight in weights.items()}
        assert all(abs(shares[name] - exact[name]) < 1 for name in weights)


def test_rows_are_met_exactly_and_in_the_proportion_of_the_classes() -> None:
    rows = [candidate(f"t{n}", "rare" if n % 10 == 0 else "usual") for n in range(1000)]
    divided, problems = divide(rows, asked(train=500, validation=101, holdout=300))

    assert problems == []
    assert {name: len(divided[name]) for name in ORDER} == {
        "holdout": 300,
        "validation": 101,
        "train": 500,
    }
    assert [Counter(one.label for one in divided[name])["rare"] for name in ORDER] == [30, 10, 50]


def test_fractions_move_no_row_when_rows_are_added() -> None:
    splits = asked(train=0.6, validation=0.2, holdout=0.2)
    before, _ = divide(some(400), splits)
    after, _ = divide(some(900), splits)

    for name in ORDER:
        assert set(texts(before)[name]) <= set(texts(after)[name])


def test_fractions_that_fill_the_whole_leave_no_row_out() -> None:
    divided, problems = divide(some(500), asked(train=0.7, validation=0.1, holdout=0.2))

    assert problems == []
    assert sum(map(len, divided.values())) == 500
    assert 70 <= len(divided["holdout"]) <= 130


def test_another_seed_draws_another_holdout() -> None:
    one, _ = divide(some(100), asked(seed=1))
    two, _ = divide(some(100), asked(seed=2))

    assert texts(one)["holdout"] != texts(two)["holdout"]


def test_equal_texts_stay_together_whatever_their_labels() -> None:
    rows = [*some(40), candidate("TEXT  3", "b"), candidate("text 3", "a", "y:1")]
    for seed in range(20):
        divided, _ = divide(rows, asked(train=10, validation=10, holdout=10, seed=seed))
        where = {
            name for name in ORDER for one in divided[name] if one.key == content_key("text 3")
        }
        assert len(where) <= 1


def test_too_few_rows_say_how_many_are_needed_and_what_would_fit() -> None:
    _, (problem,) = divide(some(11), asked())

    assert problem.code == "D311"
    assert problem.message == (
        "12 rows are needed (6 train + 2 validation + 4 holdout), there are 11"
    )
    assert problem.hint == "`splits.train: 5` would fit"


def test_a_fraction_that_leaves_no_row_is_told() -> None:
    _, problems = divide(some(3), asked(train=0.9, validation=0.0001, holdout=0.0))

    assert [problem.path for problem in problems] == ["splits.validation"]


def test_exactly_enough_rows_are_enough() -> None:
    divided, problems = divide(some(12), asked())

    assert problems == []
    assert sum(map(len, divided.values())) == 12


@pytest.mark.parametrize(
    ("labels", "expected"),
    [("ab", []), ("abc", [("D309", "task.labels")])],
)
def test_a_label_without_rows_is_told(labels: str, expected: list[tuple[str, str]]) -> None:
    rows = some(12)
    splits = asked()
    divided, _ = divide(rows, splits)
    found = missing_classes(divided, tuple(labels), rows, splits)

    assert [(problem.code, problem.path) for problem in found] == expected


def test_a_class_with_one_holdout_row_is_told_with_its_size() -> None:
    rows = [candidate(f"t{n}") for n in range(97)] + [candidate(f"r{n}", "b") for n in range(3)]
    splits = asked(train=50, validation=10, holdout=40)
    divided, _ = divide(rows, splits)
    found = missing_classes(divided, ("a", "b"), rows, splits)

    assert [problem.path for problem in found] == ["splits.holdout", "splits.validation"]
    assert (
        "label `b` has 1 row in holdout, at least 2 are needed; it has 3 rows" in found[0].message
    )


def test_a_validation_split_of_no_rows_is_not_missed() -> None:
    splits = asked(train=8, validation=0, holdout=4)
    divided, _ = divide(some(12), splits)

    assert missing_classes(divided, ("a", "b"), some(12), splits) == []
