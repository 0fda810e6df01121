"""A rating is the reward that the loss implies; what needs no training is rated beside it."""

from typing import Any

import pytest

from engine.data.examples.example import Example, content_id
from engine.inference.predict import PredictionInputs
from engine.inference.preference import longer_answer, rated, reference_in, rows_digest, untouched
from engine.metrics.predictions import Prediction
from engine.values import replace
from support.tasks import task

ASKED = PredictionInputs(task=task("preference"), max_length=64, answers=(), loss="dpo")
PAIR = Prediction(
    id="a",
    target="",
    label=None,
    text="",
    probability=None,
    nats=6.0,
    tokens=3,
    bytes=9,
    rejected_nats=10.0,
    rejected_tokens=10,
    rejected_bytes=30,
)
THUMB = replace(PAIR, rejected_nats=None, rejected_tokens=0, rejected_bytes=0)


def row(chosen: str, rejected: str = "", **payload: Any) -> Example:
    other = {"rejected": [{"role": "assistant", "content": rejected}]} if rejected else {}
    return Example(id=chosen, origin="a:1", input="q", target=chosen, payload={**other, **payload})


@pytest.mark.parametrize(
    ("loss", "margin"),
    # Nats gained by the chosen answer less those of the rejected one; or a token, of this model alone.
    [("dpo", 1.0), ("ipo", 1.0), ("orpo", -1.0), ("simpo", -1.0)],
)
def test_a_pair_is_rated_by_the_reward_of_its_loss(loss: str, margin: float) -> None:
    (found,) = rated([PAIR], replace(ASKED, loss=loss), {"a": (9.0, 12.0)})

    assert found.margin == pytest.approx(margin)
    assert reference_in([found]) == {"a": (9.0, 12.0)}


def test_a_model_that_has_not_moved_prefers_nothing() -> None:
    (found,) = rated([PAIR], ASKED, {"a": (6.0, 10.0)})

    assert found.margin == 0.0


@pytest.mark.parametrize(("desirable", "margin"), [(True, 3.0), (False, -3.0)])
def test_a_single_answer_is_right_where_its_reward_points_with_the_thumb(
    desirable: bool, margin: float
) -> None:
    (found,) = rated(
        [replace(THUMB, desirable=desirable)], replace(ASKED, loss="kto"), {"a": (9.0,)}
    )

    assert found.margin == margin


def test_rows_that_were_not_scored_are_left_without_a_margin() -> None:
    silent = replace(PAIR, nats=None, rejected_nats=None)

    assert rated([silent], ASKED, {"a": (9.0, 12.0)}) == [silent]
    assert rated([PAIR], ASKED, {}) == [PAIR]


def test_the_untouched_model_prefers_what_is_likelier_by_token() -> None:
    thumbs = [replace(THUMB, id=f"{nats}", nats=nats, desirable=nats < 5) for nats in (3.0, 9.0)]

    assert [one.margin for one in untouched([PAIR])] == [pytest.approx(-1.0)]
    assert [one.margin for one in untouched(thumbs)] == [pytest.approx(1.0)] * 2


def test_the_longer_answer_is_counted_in_bytes() -> None:
    found = longer_answer([row("né", "no"), row("a", "long"), row("same", "four")])

    assert [one.margin for one in found] == [1.0, -3.0, 0.0]
    assert found[0].nats is None


def test_of_single_answers_those_longer_than_half_of_all_are_wanted() -> None:
    rows = [row("a", desirable=False), row("bbb", desirable=False), row("ccccc", desirable=True)]

    assert [one.margin for one in longer_answer(rows)] == [2.0, -0.0, 2.0]


# Which rows the base model was asked: the rejected answer and the thumb are part of it.
ROW = Example(
    id=content_id("question", "good"),
    origin="rows.jsonl:1",
    input="question",
    target="good",
    payload={"rejected": [{"role": "assistant", "content": "bad"}], "desirable": True},
)


@pytest.mark.parametrize(
    "changes", [{"rejected": [{"role": "assistant", "content": "worse"}]}, {"desirable": False}]
)
def test_another_rejected_answer_is_asked_anew(changes: dict[str, Any]) -> None:
    """The likelihood of the answer that stood there before was taken for its own."""
    other = replace(ROW, payload={**ROW.payload, **changes})

    assert other.id == ROW.id
    assert rows_digest([other]) != rows_digest([ROW])
    assert rows_digest([replace(ROW, origin="moved.jsonl:7")]) == rows_digest([ROW])
