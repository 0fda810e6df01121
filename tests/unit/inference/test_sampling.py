from collections import Counter
from hashlib import sha256

import pytest

from engine.data.examples.example import Example
from engine.inference.cached import TRAIN_SAMPLE, WRITTEN_SAMPLE, sample_rows
from engine.inference.template_check import PRINTABLE, corpus
from support.stage_bench import examples
from support.tasks import task

TASK = task("classification", labels=("negative", "positive"))


def rows_of(**counts: int) -> list[Example]:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [
        Example(id=f"{place:016x}", origin="", input="", target=label)
        for place, label in enumerate(labels)
    ]


def test_few_training_rows_are_all_asked() -> None:
    rows = examples(TRAIN_SAMPLE)

    assert rows == sample_rows(rows, TASK, seed=7)


def test_a_sample_keeps_shares_and_leaves_no_label_out() -> None:
    rows = rows_of(often=900, seldom=99, once=1)

    three = task("classification", labels=("often", "seldom", "once"))

    found = Counter(row.target for row in sample_rows(rows, three, seed=7))

    assert found == {"often": 179, "seldom": 20, "once": 1}


def test_a_sample_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rows = rows_of(negative=500, positive=500)

    found = sample_rows(rows, TASK, seed=7)

    assert len(found) == TRAIN_SAMPLE
    assert found == sample_rows(rows[::-1], TASK, seed=7)[::-1]
    assert found != sample_rows(rows, TASK, seed=8)


def test_many_labels_have_two_rows_each() -> None:
    labels = [f"label {place}" for place in range(150)]
    rows = rows_of(**dict.fromkeys(labels, 10))

    many = task("classification", labels=tuple(labels))

    found = Counter(row.target for row in sample_rows(rows, many, seed=7))

    assert found == dict.fromkeys(labels, 2)


@pytest.mark.parametrize("kind", ["extraction", "generation"])
def test_fewer_rows_are_asked_where_answers_are_written_out(kind: str) -> None:
    rows = rows_of(one=500)

    assert len(sample_rows(rows, task(kind), seed=7)) == WRITTEN_SAMPLE


# The texts on which tokenizers are compared: the same ones each time, and of every kind.
def test_the_texts_are_the_same_in_every_process() -> None:
    digest = sha256("\0".join(corpus()).encode()).hexdigest()

    assert (len(corpus()), digest[:16]) == (2308, "0787e309da08d731")


def test_no_text_stands_there_twice_and_every_printable_sign_alone() -> None:
    assert len(set(corpus())) == len(corpus())
    assert set(PRINTABLE) <= set(corpus())
