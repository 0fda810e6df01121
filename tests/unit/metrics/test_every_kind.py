"""What holds for every metric of every kind, whatever a model answered."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bundle.row_table import packed, read_rows, statistics_of
from engine.evidence import Scores
from engine.kinds import KINDS
from engine.metrics import resampling
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import difference, pair
from engine.metrics.scoring import score
from engine.values import from_json, replace, to_json
from support.examples import examples
from support.tasks import task

MEASURED = list(KINDS)
LABELS = ("a", "b")
SCHEMA: Any = {"properties": {"x": {"type": "integer"}, "y": {"items": {"type": "string"}}}}
TASKS = {
    "classification": task("classification", labels=LABELS, out_of_scope="b"),
    "multilabel": task("multilabel", labels=LABELS),
    "extraction": task("extraction", schema=SCHEMA),
    "generation": task("generation", answer_pattern="#(.*)"),
    "chat": task("chat"),
    "text": task("text"),
    "preference": task("preference"),
}
ANSWERS = {
    "classification": ["a", "b"],
    "multilabel": ["none", "a", "b", "a, b"],
    "extraction": ["{}", '{"x":1}', '{"x":2,"y":["a","b"]}', '{"y":["a","a"],"z":0}'],
    "generation": ["the cat sat on mats #1", "#2", "a"],
    "chat": [""],
    "text": [""],
    "preference": [""],
}


@pytest.fixture(autouse=True, scope="module")
def few_draws() -> Iterator[None]:
    """What is asked here holds for any number of draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "DRAWS", 40)
        yield


@st.composite
def predictions(draw: st.DrawFn, kind: str, *, least: int = 0) -> list[Prediction]:
    rows = draw(st.integers(least, 9))
    sure, grouped = draw(st.booleans()), draw(st.booleans())
    answer = st.sampled_from(ANSWERS[kind])
    return [
        Prediction(
            id=f"{place}",
            target=draw(answer),
            label=(label := draw(answer | st.none())),
            text=label or "?",
            probability=draw(st.floats(0, 1)) if sure else None,
            probabilities=(0.25, 0.75) if sure and kind == "classification" else (),
            group=draw(st.sampled_from(["", "g", "h"])) if grouped else "",
            nats=draw(st.floats(0, 50)) if KINDS[kind].by_likelihood else None,
            tokens=draw(st.integers(0, 5)),
            bytes=draw(st.integers(0, 9)),
            margin=draw(st.floats(-9, 9)) if kind == "preference" else None,
            rejected_bytes=draw(st.integers(0, 9)) if kind == "preference" else 0,
        )
        for place in range(rows)
    ]


@pytest.mark.parametrize("kind", MEASURED)
@settings(max_examples=examples(12), deadline=None)
@given(data=st.data())
def test_a_metric_is_a_number_inside_its_interval_or_nothing_with_a_reason(
    kind: str, data: st.DataObject
) -> None:
    scores = score(data.draw(predictions(kind)), Judging(task=TASKS[kind], confidence=0.9, seed=3))

    for metric in scores.metrics:
        if metric.value is None:
            assert metric.undefined
            assert metric.interval is None
        else:
            assert math.isfinite(metric.value)
            assert metric.undefined == ""
            if metric.interval is not None:
                assert metric.interval.low <= metric.value <= metric.interval.high
    text = json.dumps(to_json(scores), allow_nan=False)
    assert from_json(Scores, json.loads(text)) == scores


@pytest.mark.parametrize("kind", MEASURED)
@settings(max_examples=examples(6), deadline=None)
@given(data=st.data())
def test_a_model_differs_from_itself_by_nothing(kind: str, data: st.DataObject) -> None:
    rows = data.draw(predictions(kind, least=1))

    both = pair(rows, rows[::-1], Judging(task=TASKS[kind], confidence=0.9, seed=3))

    for name in both.measures:
        found = difference(name, both)
        assert (found.metric.value, found.p_value) in ((0.0, 1.0), (None, None))


@pytest.mark.parametrize("kind", MEASURED)
@settings(max_examples=examples(12), deadline=None)
@given(data=st.data())
def test_statistics_of_rows_give_the_numbers_that_the_answers_give(
    kind: str, data: st.DataObject
) -> None:
    judging = Judging(task=TASKS[kind], confidence=0.9, seed=3)
    first = data.draw(predictions(kind, least=1))
    has_shares = data.draw(st.booleans())
    second = [
        replace(one, label=two.label, text=two.text, probabilities=one.probabilities * has_shares)
        for one, two in zip(first, first[::-1], strict=True)
    ]
    written = packed(
        {str(at): statistics_of(rows, judging.task, {}) for at, rows in enumerate((first, second))}
    )
    kept = read_rows(written or b"")

    assert score(kept["0"], judging) == score(first, judging)
    from_rows, from_answers = pair(kept["0"], kept["1"], judging), pair(first, second, judging)
    for name in from_answers.measures:
        assert difference(name, from_rows) == difference(name, from_answers)
