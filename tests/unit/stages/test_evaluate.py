from __future__ import annotations

from collections import Counter

from judging import examples

from engine.data.example import Example
from engine.stages.evaluate import TRAIN_SAMPLE, sample_rows

LABELS = ("negative", "positive")


def rows_of(**counts: int) -> list[Example]:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [
        Example(id=f"{place:016x}", origin="", input="", target=label)
        for place, label in enumerate(labels)
    ]


def test_few_training_rows_are_all_asked() -> None:
    rows = examples(TRAIN_SAMPLE)

    assert rows == sample_rows(rows, LABELS, seed=7)


def test_a_sample_keeps_shares_and_leaves_no_label_out() -> None:
    rows = rows_of(often=900, seldom=99, once=1)

    found = Counter(row.target for row in sample_rows(rows, ("often", "seldom", "once"), seed=7))

    assert found == {"often": 179, "seldom": 20, "once": 1}


def test_a_sample_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rows = rows_of(negative=500, positive=500)

    found = sample_rows(rows, LABELS, seed=7)

    assert len(found) == TRAIN_SAMPLE
    assert found == sample_rows(rows[::-1], LABELS, seed=7)[::-1]
    assert found != sample_rows(rows, LABELS, seed=8)


def test_many_labels_have_two_rows_each() -> None:
    labels = [f"label {place}" for place in range(150)]
    rows = rows_of(**dict.fromkeys(labels, 10))

    found = Counter(row.target for row in sample_rows(rows, labels, seed=7))

    assert found == dict.fromkeys(labels, 2)
