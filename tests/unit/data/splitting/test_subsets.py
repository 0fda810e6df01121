from collections import Counter, defaultdict

import pytest

from engine.data.examples.example import Example, content_id
from engine.data.splitting.subsets import folds_of, inner_folds, ranked, share
from engine.values import replace


def rows(count: int, *, labels: str = "aaab", fold: int = 0, start: int = 0) -> list[Example]:
    return [
        Example(
            id=content_id(f"text {place}", labels[place % len(labels)]),
            origin="",
            input=f"text {place}",
            target=labels[place % len(labels)],
            labels=(labels[place % len(labels)],),
            fold=fold,
        )
        for place in range(start, start + count)
    ]


def test_shares_are_nested_stratified_and_in_the_order_given() -> None:
    found = rows(200)
    parts = [share(found, part, seed=7) for part in (0.25, 0.5, 1.0)]

    assert [len(part) for part in parts] == [50, 100, 200]
    ids = [{row.id for row in part} for part in parts]
    assert ids[0] < ids[1] < ids[2]
    assert Counter(row.target for row in parts[0]) in ({"a": 37, "b": 13}, {"a": 38, "b": 12})
    places = [found.index(row) for row in parts[0]]
    assert places == sorted(places)


def test_a_share_is_the_same_rows_whatever_their_order() -> None:
    found = rows(80)

    one, other = share(found, 0.25, seed=7), share(found[::-1], 0.25, seed=7)

    assert {row.id for row in one} == {row.id for row in other}
    assert {row.id for row in one} != {row.id for row in share(found, 0.25, seed=8)}


def test_the_first_ranked_rows_hold_every_label() -> None:
    found = rows(99, labels="aaaaaaaab" + "c")

    assert {row.target for row in ranked(found, seed=7)[:3]} == {"a", "b", "c"}


def test_a_share_of_answers_holds_both_thumbs() -> None:
    found = [
        replace(row, target=f"answer {place}", labels=(), payload={"desirable": place in (3, 17)})
        for place, row in enumerate(rows(32))
    ]

    for seed in range(20):
        part = share(found, 0.25, seed=seed)

        assert len(part) == 8
        assert {row.payload["desirable"] for row in part} == {True, False}


def test_a_share_of_texts_holds_a_repeated_answer_at_its_share_and_is_drawn_by_seed() -> None:
    """Rows of an answer of their own are not drawn before those that share one."""
    found = [
        replace(row, target="nothing" if place % 2 else f"answer {place}", labels=())
        for place, row in enumerate(rows(400))
    ]
    parts = [share(found, 0.25, seed=seed) for seed in range(10)]

    assert len({tuple(row.id for row in part) for part in parts}) == 10
    for part in parts:
        assert 35 <= sum(row.target == "nothing" for row in part) <= 65


def test_inner_folds_are_even_and_keep_groups_and_equal_texts_together() -> None:
    found = [replace(row, group=f"group {place // 4}") for place, row in enumerate(rows(80))]
    found += [replace(found[-1], id="twin", group=""), replace(found[-1], id="twin 2", group="")]

    numbers = inner_folds(found, 5, seed=7)

    by_group = defaultdict(set)
    for row, number in zip(found, numbers, strict=True):
        by_group[row.group].add(number)
    assert {len(folds) for folds in by_group.values()} == {1}
    assert sorted(Counter(numbers[:80]).values()) == [16] * 5


@pytest.mark.parametrize("group", ["one speaker", ""])
def test_rows_that_all_stand_together_have_no_folds(group: str) -> None:
    found = [replace(row, input="the film was good", group=group) for row in rows(10)]

    assert inner_folds(found, 5, seed=7) == []


def folded() -> tuple[list[Example], list[Example], list[Example]]:
    train = [row for fold in (1, 2) for row in rows(10, fold=fold, start=100 * fold)]
    validation = [row for fold in (1, 2) for row in rows(2, fold=fold, start=100 * fold + 50)]
    return train, validation, rows(12)


def test_every_row_is_judged_once_by_a_training_that_did_not_see_it() -> None:
    train, validation, holdout = folded()

    folds = folds_of(train, validation, holdout, folds=3, near=True)

    judged = [row.id for fold in folds for row in fold.judged]
    assert sorted(judged) == sorted(row.id for row in (*train, *validation, *holdout))
    for fold in folds:
        seen = {row.id for row in (*fold.train, *fold.validation)}
        assert seen.isdisjoint(row.id for row in fold.judged)
        assert len(seen) + len(fold.judged) == 36
    assert [row.fold for row in folds[1].validation] == [2, 2]


def test_without_folds_there_is_the_split_itself() -> None:
    train, validation, holdout = folded()

    (only,) = folds_of(train, validation, holdout, folds=0, near=True)

    assert (only.train, only.validation, only.judged) == (
        tuple(train),
        tuple(validation),
        tuple(holdout),
    )


def test_what_reads_like_a_judged_row_is_not_trained_on() -> None:
    train, validation, holdout = folded()
    twin = replace(holdout[0], id="twin", input=f"  {train[0].input.upper()} ")

    folds = folds_of(train, validation, [*holdout, twin], folds=3, near=True)

    assert train[0].fold == 1
    assert twin not in folds[1].train
    assert twin in folds[2].train


@pytest.mark.parametrize("near", [True, False])
def test_what_reads_nearly_like_a_judged_row_is_left_out_where_splits_stay_apart(
    near: bool,
) -> None:
    train, validation, holdout = folded()
    text = "a long sentence of which another row repeats all but the last letter"
    train[0] = replace(train[0], input=text)
    cousin = replace(holdout[0], id="cousin", input=f"{text}s")

    folds = folds_of(train, validation, [*holdout, cousin], folds=3, near=near)

    assert (cousin not in folds[1].train) == near
