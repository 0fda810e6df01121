"""Whole groups are drawn: many small ones, with the labels in equal shares, whatever the order of the rows."""

import random
from collections import Counter

import pytest

from engine.data.row_index import Assignment, Pool
from engine.data.splitting.recorded import RecordedSplits
from engine.data.splitting.splits import ORDER, Division, divide
from support.pools import Made, asked, pool_of

GROUPS = 283
HOLDOUT = 200


def skewed(seed: int = 3) -> list[Made]:
    """Groups whose sizes follow Zipf's law, the four largest nearly of one label."""
    chance = random.Random(seed)
    rows = []
    for group in range(GROUPS):
        share = 0.97 if group < 4 else chance.random()
        for number in range(max(1, round(160 / (group + 1) ** 0.9))):
            label = "yes" if chance.random() < share else "no"
            rows.append(Made(text=f"{group} {number}", labels=(label,), group=f"g{group}"))
    return rows


def groups_of(pool: Pool, division: Division, split: str) -> Counter[str]:
    return Counter(pool.mark[row] for row in division.rows(pool, split))  # type: ignore[arg-type]


def share_of_yes(pool: Pool, rows: list[int]) -> float:
    return sum(pool.labels(row) == ("yes",) for row in rows) / len(rows)


@pytest.mark.parametrize("train", [160, "all"])
def test_splits_hold_many_small_groups_with_the_labels_in_equal_shares(train: int | str) -> None:
    """Of 60 validation rows 32 were of one group, of 200 holdout rows 38."""
    rows = skewed()
    splits = asked(by="group", column="g", train=train, validation=60, holdout=HOLDOUT)
    pool = pool_of(rows, splits)
    division = divide(pool, splits)

    every = share_of_yes(pool, list(range(len(rows))))
    for name in ORDER if train == 160 else ORDER[:2]:
        groups, size = groups_of(pool, division, name), len(division.rows(pool, name))
        assert size == getattr(splits, name)
        assert len(groups) >= 30
        assert share_of_yes(pool, list(division.rows(pool, name))) == pytest.approx(every, abs=0.06)
    assert max(groups_of(pool, division, "holdout").values()) <= HOLDOUT / 30
    if train == "all":
        assert max(groups_of(pool, division, "train").values()) == 160


def test_the_order_of_the_rows_changes_no_group() -> None:
    rows = skewed()
    splits = asked(by="group", column="g", train=160, validation=60, holdout=HOLDOUT)
    shuffled = random.Random(1).sample(rows, len(rows))

    one, two = (pool_of(of, splits) for of in (rows, shuffled))

    found = [
        {name: groups_of(pool, divide(pool, splits), name) for name in ORDER} for pool in (one, two)
    ]
    assert found[0] == found[1]


def test_folds_of_groups_have_the_labels_in_equal_shares() -> None:
    """By size alone, one of five folds had 80 % of a label that is 67 % of all rows."""
    rows = skewed()
    splits = asked(by="group", column="g", folds=5, train="all", validation=0, holdout=0)
    pool = pool_of(rows, splits)
    division = divide(pool, splits)

    every = share_of_yes(pool, list(range(len(rows))))
    folds = [[row for row in range(len(rows)) if division.folds[row] == fold] for fold in range(5)]
    for fold in folds:
        assert len(fold) == pytest.approx(len(rows) / 5, abs=2)
        assert share_of_yes(pool, fold) == pytest.approx(every, abs=0.01)


def test_a_recorded_holdout_of_a_large_group_is_kept() -> None:
    rows = skewed()
    splits = asked(by="group", column="g", train="all", validation=60, holdout=160)
    pool = pool_of(rows, splits)
    largest = next(row for row in range(len(rows)) if pool.mark[row] == "g0")
    known = {pool.identity(row): int(Assignment.TRAIN) for row in range(len(rows))}
    held = RecordedSplits(
        known={**known, pool.identity(largest): Assignment.HOLDOUT}, is_whole=True
    )

    division = divide(pool, splits, held)

    assert groups_of(pool, division, "holdout") == {"g0": 160}
