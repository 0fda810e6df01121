import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evidence import Scores
from engine.kinds import KINDS
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import paired_difference
from engine.metrics.scoring import score
from support.examples import examples
from support.metric_values import values
from support.tasks import task

Rows = list[tuple[float, int, int]]
TASK = task("text")


def predictions(rows: Rows) -> list[Prediction]:
    return [
        Prediction(
            id=f"{place:05}",
            target="",
            label=None,
            text="",
            probability=None,
            nats=nats,
            tokens=tokens,
            bytes=size,
        )
        for place, (nats, tokens, size) in enumerate(rows)
    ]


def judged(rows: Rows) -> Scores:
    return score(predictions(rows), Judging(task=TASK, confidence=0.95, seed=7))


def test_a_hand_computed_case() -> None:
    scores = judged([(6.0, 3, 12), (2.0, 5, 20)])

    assert {metric.name: metric.value for metric in scores.metrics} == {
        "perplexity": math.exp(8 / 8),
        "bits_per_byte": 8 / math.log(2) / 32,
    }


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_every_metric_that_recipes_may_name_is_computed(kind: str) -> None:
    found = score(predictions([(1.0, 1, 1)]), Judging(task=task(kind), confidence=0.95, seed=7))

    assert [metric.name for metric in found.metrics] == [spec.name for spec in KINDS[kind].metrics]


@settings(max_examples=examples(30), deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.floats(0, 500), st.integers(1, 100), st.integers(1, 400)), min_size=1
    )
)
def test_values_are_the_definitions(rows: Rows) -> None:
    nats, tokens, size = (sum(column) for column in zip(*rows, strict=True))

    found = values(predictions(rows), TASK)

    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / size)
    assert found["perplexity"] == pytest.approx(math.exp(nats / tokens))


def test_a_perplexity_that_is_no_number_is_none() -> None:
    metric = judged([(1e6, 1, 1), (1e6, 1, 1)]).metric("perplexity")

    assert (metric.value, metric.undefined) == (None, "too large a number")


def test_rows_without_a_likelihood_leave_it_undefined() -> None:
    rows = predictions([(1.0, 1, 1), (2.0, 2, 2)])
    rows[0] = Prediction(id="x", target="", label=None, text="", probability=None)

    for metric in score(rows, Judging(task=TASK, confidence=0.95, seed=7)).metrics:
        assert metric.undefined == "some rows have no likelihood"


def test_nothing_learned_has_no_likelihood() -> None:
    found = {metric.name: metric.undefined for metric in judged([(0.0, 0, 0)]).metrics}

    assert found == {
        "perplexity": "no tokens are learned",
        "bits_per_byte": "no bytes are learned",
    }
    assert {metric.undefined for metric in judged([]).metrics} == {"no rows"}


def test_one_row_has_a_value_but_no_interval() -> None:
    for metric in judged([(2.0, 2, 8)]).metrics:
        assert metric.value is not None
        assert metric.interval is None


def test_an_interval_holds_the_value_and_narrows_with_rows() -> None:
    rows = [(1.0, 2, 8), (3.0, 2, 8), (2.0, 2, 8), (4.0, 4, 16)]
    widths = []
    for count in (5, 80):
        metric = judged(rows * count).metric("bits_per_byte")
        assert metric.value is not None
        assert metric.interval is not None
        assert metric.interval.low < metric.value < metric.interval.high
        widths.append(metric.interval.high - metric.interval.low)

    assert 3 < widths[0] / widths[1] < 5


def test_a_model_that_predicts_each_row_better_is_distinguished_from_luck() -> None:
    before = predictions([(4.0 + place % 3, 4, 16) for place in range(30)])
    after = predictions([(3.5 + place % 3, 4, 16) for place in range(30)])

    found = paired_difference(
        "bits_per_byte", after, before, Judging(task=TASK, confidence=0.95, seed=7)
    )

    assert found.metric.value == pytest.approx(-0.5 / 16 / math.log(2))
    assert found.p_value is not None
    assert found.p_value < 0.001
    assert found.metric.interval is not None
    assert found.metric.interval.high < 0
