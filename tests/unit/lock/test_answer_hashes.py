"""Answers in four bytes a row: the same ones are known again, others are recognised where they can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.lock.coherence import answer_facts, match_answers
from engine.lock.file import AnswerFacts
from engine.metrics.equivalence import Margin, MetricPair, equivalence
from engine.metrics.predictions import Prediction
from engine.values import replace
from support.launches import TASK

FIRST, SECOND = TASK.labels[:2]


def row(number: int, target: str, label: str | None, text: str = "") -> Prediction:
    return Prediction(
        id=f"{number:016x}", target=target, label=label, text=text or label or "?", probability=None
    )


@given(
    st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), st.sampled_from([FIRST, SECOND, None])))
)
def test_labels_come_back_whatever_is_answered_now(pairs: list[tuple[str, str | None]]) -> None:
    before = [row(n, target, label) for n, (target, label) in enumerate(pairs)]
    now = [row(n, target, FIRST) for n, (target, _) in enumerate(pairs)]

    found = match_answers(answer_facts(before), now, TASK)

    assert found is not None
    assert found.predictions is not None
    assert [one.label for one in found.predictions] == [one.label for one in before]
    assert found.same == tuple(one.label == FIRST for one in before)


def test_the_order_of_rows_says_nothing() -> None:
    rows = [row(n, FIRST, FIRST if n % 2 else SECOND) for n in range(9)]

    assert answer_facts(rows) == answer_facts(rows[::-1])


def test_a_text_that_cannot_be_guessed_leaves_only_whether_it_is_the_same() -> None:
    task = replace(TASK, kind="generation", labels=())
    before = [row(1, "right", "some words"), row(2, "right", "right")]
    now = [row(1, "right", "other words"), row(2, "right", "right")]

    found = match_answers(answer_facts(before), now, task)

    assert found is not None
    assert (found.same, found.predictions) == ((False, True), None)


def test_likelihoods_come_back_as_32_bit_numbers() -> None:
    task = replace(TASK, kind="text", labels=())
    before = [replace(row(n, "", None), nats=1.1 * n, tokens=3, bytes=9) for n in range(4)]
    now = [replace(one, nats=5.0) for one in before]

    found = match_answers(answer_facts(before), now, task)

    assert found is not None
    assert found.predictions is not None
    assert [one.nats for one in found.predictions] == pytest.approx([one.nats for one in before])


def test_the_rating_of_now_is_not_taken_for_that_of_the_lock() -> None:
    """A model that preferred 60 % where the lock's preferred 95 % had a paired difference of 0 ± 0.01."""
    task = replace(TASK, kind="preference", labels=())
    before = [replace(row(n, "", None), nats=9.0, tokens=3, margin=1.0) for n in range(200)]
    now = [replace(one, margin=1.0 if n < 120 else -1.0) for n, one in enumerate(before)]
    asked = MetricPair(
        metric="preference_accuracy", locked=0.95, found=0.6, task=task, seed=1,
        margin=Margin(value=0.03, origin=""),
    )  # fmt: skip

    found = match_answers(answer_facts(before), now, task)

    assert found is not None
    assert {one.margin for one in found.rows} == {None}
    assert (found.unknown, found.predictions) == (200, None)
    assert not equivalence(asked, now, found.predictions, differing=found.unknown).holds


@pytest.mark.parametrize("entries", ["AAAA", "!", ""])
def test_answers_to_other_rows_are_none(entries: str) -> None:
    rows = [row(1, FIRST, FIRST), row(2, FIRST, FIRST)]
    recorded: AnswerFacts = {**answer_facts(rows), "entries": entries}

    assert match_answers(recorded, rows, TASK) is None
