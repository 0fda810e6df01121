"""Splits depend on content and seed alone."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.row_index import Assignment, Pool
from engine.data.splitting.classes import class_problems
from engine.data.splitting.groups import apportion
from engine.data.splitting.recorded import held_by, membership, what_became
from engine.data.splitting.splits import ORDER, Division, divide
from engine.recipe.model import SplitName, Splits
from engine.values import replace
from support.pools import Made, asked, pool_of, texts


def some(count: int, labels: str = "ab") -> list[Made]:
    return [Made(text=f"text {n}", labels=(labels[n % len(labels)],)) for n in range(count)]


def divided(rows: list[Made], splits: Splits) -> tuple[Pool, Division]:
    pool = pool_of(rows, splits)
    return pool, divide(pool, splits)


def sizes(pool: Pool, division: Division) -> dict[str, int]:
    return {name: len(division.rows(pool, name)) for name in ORDER}


def classes(rows: list[Made], splits: Splits, labels: str) -> list[tuple[str, str, str]]:
    pool, division = divided(rows, splits)
    problems = class_problems(pool, division, tuple(labels), splits)
    return [(one.code, one.path, one.message) for one in problems]


@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 50), min_size=1), st.data())
def test_apportioned_shares_sum_up_and_fit(named: dict[str, int], data: st.DataObject) -> None:
    weights: dict[tuple[str, ...], int] = {(name,): weight for name, weight in named.items()}
    everything = sum(weights.values())
    total = data.draw(st.integers(0, everything))
    shares = apportion(total, weights)

    assert sum(shares.values()) == total
    assert all(0 <= shares[name] <= weights[name] for name in weights)
    if everything:
        exact = {name: total * weight / everything for name, weight in weights.items()}
        assert all(abs(shares[name] - exact[name]) < 1 for name in weights)


def test_rows_are_met_exactly_and_in_the_proportion_of_the_classes() -> None:
    rows = [Made(text=f"t{n}", labels=("rare" if n % 10 == 0 else "usual",)) for n in range(1000)]
    pool, division = divided(rows, asked(train=500, validation=101, holdout=300))

    assert sizes(pool, division) == {"holdout": 300, "validation": 101, "train": 500}
    rare = [
        Counter(pool.labels(row) for row in division.rows(pool, name))["rare",] for name in ORDER
    ]
    assert rare == [30, 10, 50]


def test_fractions_move_no_row_when_rows_are_added() -> None:
    splits = asked(train=0.6, validation=0.2, holdout=0.2)
    before = texts(*divided(some(400), splits))
    after = texts(*divided(some(900), splits))

    assert all(set(before[name]) <= set(after[name]) for name in ORDER)


@pytest.mark.parametrize("train", [0.7, "all"])
def test_fractions_that_fill_the_whole_leave_no_row_out(train: Any) -> None:
    pool, division = divided(some(500), asked(train=train, validation=0.1, holdout=0.2))

    assert division.problems == []
    assert sum(sizes(pool, division).values()) == 500
    assert 70 <= sizes(pool, division)["holdout"] <= 130


def test_another_seed_draws_another_holdout() -> None:
    one, two = (texts(*divided(some(100), asked(seed=seed))) for seed in (1, 2))

    assert one["holdout"] != two["holdout"]


def test_too_few_rows_say_how_many_are_needed_and_what_would_fit() -> None:
    (problem,) = divided(some(11), asked())[1].problems

    assert problem.code == "D311"
    assert problem.message == (
        "12 rows are needed (6 train + 2 validation + 4 holdout), there are 11"
    )
    assert problem.hint == "`splits.train: 5` would fit"
    (problem,) = divided(some(40), asked(train="all", validation=5, holdout=50))[1].problems
    assert problem.hint == "`holdout: 10, validation: 4` would leave 26 to train on"


def test_a_split_that_gets_no_row_is_reported() -> None:
    large = [Made(text=f"t{n}", group=f"g{n // 28}") for n in range(140)]
    whole = asked(by="group", column="g", train="all", validation=10, holdout=30)
    share = asked(train=0.9, validation=0.0001, holdout=0.0)
    for rows, splits in ((some(3), share), (large, whole)):
        assert [one.path for one in divided(rows, splits)[1].problems] == ["splits.validation"]


def test_a_class_with_one_holdout_row_is_reported_with_what_it_needs() -> None:
    rows = [Made(text=f"t{n}") for n in range(97)]
    rows += [Made(text=f"r{n}", labels=("b",)) for n in range(3)]
    found = classes(rows, asked(train=50, validation=10, holdout=40), "ab")

    assert classes(some(12), asked(train=8, validation=0, holdout=4), "ab") == []
    assert [path for _, path, _ in found] == ["splits.holdout", "splits.validation"]
    assert "label `b` has 1 row in holdout, at least 2 are needed; it has 3 rows" in found[0][2]


def test_a_class_that_chance_left_out_is_not_asked_for_fewer_rows_than_it_has() -> None:
    labels, hints = "abcdefghijklmnopqrst", set[str | None]()
    for by in ("stratified", "random"):
        splits = replace(asked(train=0.7, validation=0.1, holdout=0.2), by=by)
        found = class_problems(*divided(some(400, labels), splits), tuple(labels), splits)
        hints |= {one.hint for one in found}

    assert hints == {
        "write the sizes in rows: these are met label by label, and fractions by chance",
        "enlarge the split, or use `by: stratified`",
    }


def test_groups_stay_whole_and_sizes_are_met_as_nearly_as_they_allow() -> None:
    rows = [Made(text=f"t{n}", group=f"g{n // 7}") for n in range(140)]
    splits = asked(by="group", column="g", train=70, validation=14, holdout=30)
    pool, division = divided(rows, splits)

    for number in range(20):
        assert len({division.places[row] for row in range(number * 7, number * 7 + 7)}) == 1
    assert sizes(pool, division) == {"holdout": 28, "validation": 14, "train": 70}


def test_a_text_of_two_groups_stays_in_the_stricter_split_only() -> None:
    rows = [Made(text=f"t{n % 10}", group=f"g{n}") for n in range(40)]
    splits = asked(by="group", column="g", train=0.5, validation=0.2, holdout=0.3)
    pool, division = divided(rows, splits)
    found = texts(pool, division)

    assert not set(found["holdout"]) & (set(found["train"]) | set(found["validation"]))
    assert not set(found["validation"]) & set(found["train"])
    assert division.torn > 0


def test_the_latest_rows_are_the_holdout_and_equal_times_stay_together() -> None:
    rows = [Made(text=f"t{n}", time=float(n // 2)) for n in range(40)]
    splits = asked(by="time", column="t", train="all", validation=5, holdout=10)
    pool, division = divided(rows, splits)
    times = {name: [pool.time[row] for row in division.rows(pool, name)] for name in ORDER}

    assert sorted(times["holdout"]) == [float(n // 2) for n in range(30, 40)]
    assert max(times["train"]) < min(times["validation"])
    assert max(times["validation"]) < min(times["holdout"])
    assert len(times["validation"]) in (4, 6)


def test_files_say_the_splits_and_a_number_takes_so_many_of_them() -> None:
    places = [Assignment.TRAIN, Assignment.TRAIN, Assignment.HOLDOUT]
    rows = [Made(text=f"t{n}", place=places[n % 3]) for n in range(90)]
    splits = asked(by="files", train="all", validation=10, holdout=20)
    pool, division = divided(rows, splits)

    assert sizes(pool, division) == {"holdout": 20, "validation": 10, "train": 50}
    assert all(pool.place[row] == Assignment.HOLDOUT for row in division.rows(pool, "holdout"))
    assert all(pool.place[row] == Assignment.TRAIN for row in division.rows(pool, "validation"))


def test_files_without_a_holdout_are_reported() -> None:
    rows = [Made(text=f"t{n}", place=Assignment.TRAIN) for n in range(9)]
    splits = asked(by="files", train="all", validation=0, holdout="all")

    assert [one.code for one in divided(rows, splits)[1].problems] == ["D360"]


def test_a_holdout_of_one_class_is_refused() -> None:
    rows = [Made(text=f"t{n}", labels=("ab"[n % 2],), place=Assignment.TRAIN) for n in range(20)]
    rows += [Made(text=f"h{n}", place=Assignment.HOLDOUT) for n in range(10)]
    splits = asked(by="files", train="all", validation=0, holdout="all")

    assert [code for code, _, _ in classes(rows, splits, "ab")] == ["D361"]


@pytest.mark.parametrize(
    ("others", "holdout", "expected"),
    [
        (1, 8, ("every one of the 8 holdout rows", "1 row of other labels could be drawn: add")),
        (0, 1, ("the only holdout row", "0 rows of other labels could be drawn: add such rows")),
    ],
)
def test_a_drawn_holdout_of_one_class_is_not_taken_for_a_masked_file(
    others: int, holdout: int, expected: tuple[str, str]
) -> None:
    rows = [*some(19, "a"), *(Made(text=f"b{n}", labels=("b",)) for n in range(others))]
    splits = asked(train=10, validation=0, holdout=holdout)
    found = next(class_problems(*divided(rows, splits), ("a", "b"), splits))

    assert found.code == "D361"
    assert found.message == f"{expected[0]} has the label `a`"
    assert (found.hint or "").startswith(expected[1])


def test_every_row_is_in_one_fold_and_folds_have_the_classes_in_equal_shares() -> None:
    rows = some(53)
    splits = asked(train="all", validation=5, holdout=0.2, folds=5)
    pool, division = divided(rows, splits)
    folds = Counter(division.folds)
    by_label = Counter((division.folds[row], pool.labels(row)) for row in range(len(pool)))

    assert max(folds.values()) - min(folds.values()) <= 1
    assert all(abs(by_label[fold, ("a",)] - by_label[fold, ("b",)]) <= 1 for fold in range(5))
    assert {division.folds[row] for row in division.rows(pool, "holdout")} == {0}
    assert 0 not in {division.folds[row] for row in division.rows(pool, "train")}
    assert sizes(pool, division)["validation"] == 5
    assert sum(sizes(pool, division).values()) == 53


def test_a_class_with_fewer_rows_than_folds_is_reported() -> None:
    rows = [*some(20, "a"), *(Made(text=f"b{n}", labels=("b",)) for n in range(3))]
    splits = asked(train="all", validation=0, holdout=0.2, folds=5)

    (problem,) = divided(rows, splits)[1].problems
    assert (problem.code, problem.message) == ("D362", "label `b` has 3 texts, 5 folds need 5")
    assert problem.hint == "add 2 rows of that label, or write `folds: 3`"


def test_fewer_folds_are_only_named_where_they_would_do() -> None:
    rows = [*some(20, "a"), Made(text="b", labels=("b",))]
    splits = asked(train="all", validation=0, holdout=0.2, folds=2)

    (problem,) = divided(rows, splits)[1].problems
    assert problem.message == "label `b` has 1 text, 2 folds need 2"
    assert problem.hint == "add 1 row of that label"


def test_several_labels_a_row_are_stratified_each_by_its_share() -> None:
    sets = [("x",), ("x", "y"), ("y", "z"), (), ("z",), ("x", "y", "z"), ("x",), ("w",)]
    rows = [Made(text=f"t{n}", labels=sets[n % 8]) for n in range(400)]
    pool, division = divided(rows, asked(train=200, validation=40, holdout=100))

    assert sizes(pool, division) == {"holdout": 100, "validation": 40, "train": 200}
    shares: dict[SplitName, float] = {"holdout": 0.25, "validation": 0.1, "train": 0.5}
    for name, share in shares.items():
        counts = Counter(label for row in division.rows(pool, name) for label in pool.labels(row))
        everywhere = Counter(label for one in rows for label in one.labels)
        assert all(abs(counts[label] - share * everywhere[label]) <= 2 for label in everywhere)


def test_a_recorded_holdout_keeps_its_rows_and_new_rows_go_to_training() -> None:
    splits = asked(train="all", validation=20, holdout=60)
    pool, division = divided(some(200), splits)
    before = texts(pool, division)
    held = held_by(membership(pool, division.drawn))
    more = pool_of(some(230), splits)
    again = divide(more, splits, held)

    assert texts(more, again)["holdout"] == before["holdout"]
    assert texts(more, again)["validation"] == before["validation"]
    assert texts(more, divide(more, splits))["holdout"] != before["holdout"]
    became = what_became(more, again.drawn, held)
    assert (became.kept, became.gone, became.added) == (60, 0, 0)
    assert became.new_rows == {"train": 30}


def test_what_left_a_recorded_holdout_is_replaced_from_rows_that_never_trained() -> None:
    splits = asked(train=80, validation=20, holdout=60)
    pool, division = divided(some(200), splits)
    before = texts(pool, division)
    held = held_by(membership(pool, division.drawn))
    lost = set(before["holdout"][:5])
    fewer = pool_of([row for row in some(200) if row.text not in lost], splits)
    again = divide(fewer, splits, held)
    after = texts(fewer, again)

    assert set(before["holdout"][5:]) < set(after["holdout"])
    assert len(after["holdout"]) == 60
    assert not set(after["holdout"]) & set(before["train"])
    became = what_became(fewer, again.drawn, held)
    assert (became.kept, became.gone, became.added) == (55, 5, 5)


@pytest.mark.parametrize("by", ["random", "stratified"])
def test_a_size_that_is_changed_beside_a_record_is_met(by: str) -> None:
    splits = asked(by=by, train=80, validation=20, holdout=60)
    pool, division = divided(some(200), splits)
    held = held_by(membership(pool, division.drawn))
    before = texts(pool, division)
    for train, validation in ((30, 20), (100, 20), (80, 35), (80, 5), ("all", 35)):
        changed = asked(by=by, train=train, validation=validation, holdout=60)
        after = texts(pool, divide(pool, changed, held))
        rest = 200 - 60 - validation
        assert len(after["train"]) == (rest if train == "all" else train)
        assert len(after["validation"]) == validation
        assert after["holdout"] == before["holdout"]


def test_a_number_of_rows_of_a_file_is_held_to_the_record() -> None:
    splits = asked(by="files", train="all", validation=20, holdout=30)
    first = [replace(row, place=Assignment(1 + 2 * (n % 2))) for n, row in enumerate(some(200))]
    pool, division = divided(first, splits)
    held = held_by(membership(pool, division.drawn))
    before = texts(pool, division)
    more = [replace(row, place=Assignment(1 + 2 * (n % 2))) for n, row in enumerate(some(260))]
    larger = pool_of(more, splits)
    after = texts(larger, divide(larger, splits, held))

    assert texts(larger, divide(larger, splits))["holdout"] != before["holdout"]
    assert after["holdout"] == before["holdout"]
    assert after["validation"] == before["validation"]


@pytest.mark.parametrize("holdout", [0.1, 4])
def test_by_the_order_of_the_files_the_last_rows_are_the_holdout(holdout: Any) -> None:
    rest = 0.1 if isinstance(holdout, float) else 4
    splits = asked(by="files_order", train="all", validation=rest, holdout=holdout)

    pool, division = divided(some(40), splits)

    rows = {name: sorted(division.rows(pool, name)) for name in ORDER}
    assert rows == {
        "train": [*range(32)],
        "validation": [*range(32, 36)],
        "holdout": [*range(36, 40)],
    }


def test_in_the_order_of_the_files_a_recorded_holdout_keeps_its_rows() -> None:
    splits = asked(by="files_order", train="all", validation=4, holdout=4)
    pool, division = divided(some(40), splits)

    longer = pool_of(some(44), splits)
    kept = divide(longer, splits, held_by(membership(pool, division.drawn)))

    assert sorted(kept.rows(longer, "holdout")) == [36, 37, 38, 39]
    assert max(kept.rows(longer, "train")) < 32


@pytest.mark.parametrize("copies", [False, True])
def test_in_the_order_of_the_files_a_recorded_holdout_keeps_its_rows_when_lines_move(
    *, copies: bool
) -> None:
    splits = asked(by="files_order", train="all", validation=4, holdout=4)
    rows = [*some(40)]
    if copies:  # of the last row, and one of them within the training rows
        rows[5] = rows[39]
    pool, division = divided(rows, splits)
    held = held_by(membership(pool, division.drawn))

    moved = pool_of([*rows[3:], *some(50)[44:]], splits)
    again = divide(moved, splits, held)

    assert texts(moved, again)["holdout"] == texts(pool, division)["holdout"]
    assert what_became(moved, again.places, held).kept == 4


def test_by_time_no_early_row_takes_the_place_of_a_held_out_one() -> None:
    splits = asked(by="time", train="all", validation=8, holdout=15)
    rows = [Made(text=f"t{n}", time=n) for n in range(100)]
    pool, division = divided(rows, splits)
    held = held_by(membership(pool, division.drawn))
    other = pool_of([*rows[:90], *rows[91:], Made(text="early", time=-5)], splits)
    after = texts(other, divide(other, splits, held))

    assert "early" in after["train"]
    assert len(after["holdout"]) == 14


@pytest.mark.parametrize("count", [6, 15, 106])
def test_shares_of_time_that_make_a_whole_ask_for_no_row_more(count: int) -> None:
    splits = asked(by="time", train=0.6, validation=0.1, holdout=0.3)
    rows = [Made(text=f"t{n}", time=n) for n in range(count)]
    pool, division = divided(rows, splits)

    assert not division.problems
    assert sum(sizes(pool, division).values()) == count


def test_all_takes_repeated_texts_of_several_labels_that_fit_in_no_other_split() -> None:
    rows = [Made(text=f"t{n % 3}", labels=(("a", "b"), ("a",), ())[n % 3]) for n in range(30)]
    pool, division = divided(rows, asked(train="all", validation=3, holdout=5))

    assert all(division.places)
    assert sizes(pool, division)["train"] == 30
