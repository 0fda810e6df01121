import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evidence import Scores
from engine.kinds import KINDS
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import paired_difference
from engine.metrics.scoring import named_metrics, score
from engine.recipe.prompt import parse_answer
from support.examples import examples
from support.metric_values import values
from support.tasks import task

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
        },
    },
}
TASK = task("extraction", schema=SCHEMA)


def predictions(rows: list[tuple[Any, str]]) -> list[Prediction]:
    return [
        Prediction(
            id=f"{place:05}",
            target=json.dumps(target),
            label=parse_answer(TASK, text),
            text=text,
            probability=None,
        )
        for place, (target, text) in enumerate(rows)
    ]


def judged(*rows: tuple[Any, str]) -> Scores:
    return score(predictions(list(rows)), Judging(task=TASK, confidence=0.95, seed=7))


def test_a_hand_computed_case() -> None:
    scores = judged(
        ({"name": "a", "items": [{"n": 1}, {"n": 1}, {"n": 2}]}, '{"items":[{"n":1}],"name":"a"}'),
        ({"name": "b"}, '{"name": "c", "items": [{"n": "2"}], "more": 1}'),
        ({"name": "d", "items": [{"n": 3}]}, 'It is {"name": "d"}'),
        ({"name": "e"}, ' {"name": "e"}\n'),
    )

    found = {metric.name: metric.value for metric in scores.metrics}
    # values: targets 4 + 1 + 2 + 1, outputs 2 + 3 + 0 + 1, in both 2 + 0 + 0 + 1
    assert pytest.approx(found) == {
        "exact_match": 1 / 4,
        "field_precision": 3 / 6,
        "field_recall": 3 / 8,
        "field_f1": 6 / 14,
        "macro_field_f1": (4 / 7 + 2 / 6) / 2,
        "schema_validity": 2 / 4,
        "type_errors": 1 / 4,
        "valid_output": 3 / 4,
        "precision.name": 2 / 3,
        "recall.name": 2 / 4,
        "f1.name": 4 / 7,
        "precision.items.n": 1 / 2,
        "recall.items.n": 1 / 4,
        "f1.items.n": 2 / 6,
    }
    assert [(row.label, row.support, row.predicted) for row in scores.classes] == [
        ("name", 4, 3),
        ("items.n", 4, 2),
    ]


def test_every_metric_that_recipes_may_name_is_computed() -> None:
    named = {spec.name for spec in KINDS["extraction"].metrics}

    scores = judged(({"name": "a"}, '{"name": "a"}'))

    assert named == {metric.name.partition(".")[0] for metric in scores.metrics}


def test_a_number_may_be_written_with_a_fraction_of_nothing() -> None:
    assert judged(({"items": [{"n": 1}]}, '{"items": [{"n": 1.0}]}')).metric(
        "exact_match"
    ).value == (1.0)


def test_the_order_of_a_list_counts_for_the_whole_but_not_by_field() -> None:
    scores = judged(({"items": [{"n": 1}, {"n": 2}]}, '{"items": [{"n": 2}, {"n": 1}]}'))

    assert scores.metric("exact_match").value == 0.0
    assert scores.metric("field_f1").value == 1.0


def test_a_field_that_only_targets_have_is_judged_too() -> None:
    scores = judged(({"name": "a", "extra": {"deep": 1}}, '{"name": "a", "extra": {"deep": 2}}'))

    assert scores.metric("f1.extra.deep").value == 0.0


def test_a_field_without_values_has_no_recall_and_leaves_the_average_undefined() -> None:
    scores = judged(({"name": "a"}, '{"name": "a"}'))

    assert scores.metric("recall.items.n").undefined == "no rows of `items.n`"
    assert scores.metric("macro_field_f1").undefined == "no rows of `items.n`"
    assert scores.metric("precision.items.n").undefined == "`items.n` was never predicted"


def test_outputs_that_are_all_invalid_find_nothing() -> None:
    scores = judged(({"name": "a"}, "a"), ({"name": "b", "items": [{"n": 1}]}, ""))

    for name in ("exact_match", "field_recall", "field_f1", "macro_field_f1", "valid_output"):
        assert scores.metric(name).value == 0.0
    assert scores.metric("field_precision").undefined == "no value was answered"


def test_no_rows_leave_everything_undefined() -> None:
    assert all(metric.value is None and metric.undefined for metric in judged().metrics)


def test_a_schema_without_fields_is_still_judged_as_a_whole() -> None:
    open_task = task("extraction", schema={"type": "object"})

    scores = score(predictions([({}, "{}")]), Judging(task=open_task, confidence=0.95, seed=7))

    assert scores.metric("exact_match").value == 1.0
    assert scores.metric("macro_field_f1").undefined == "there is nothing to average over"


def test_all_right_is_not_certainty_and_repeated_fields_are_resampled() -> None:
    scores = judged(*[({"name": "a", "items": [{"n": 1}, {"n": 2}]},) * 1 + (RIGHT,)] * 40)

    for metric in scores.metrics:
        assert metric.interval is not None
        assert metric.interval.low < metric.interval.high
    methods = {metric.name: metric.interval.method for metric in scores.metrics if metric.interval}
    assert methods["f1.name"].startswith("bayesian bootstrap")
    assert methods["f1.items.n"].startswith("bayesian bootstrap")


RIGHT = '{"name": "a", "items": [{"n": 1}, {"n": 2}]}'


def test_how_outputs_fit_is_taken_from_free_decoding() -> None:
    constrained, free = judged(({"name": "a"}, '{"name":"a"}')), judged(({"name": "a"}, "a"))

    found = named_metrics(constrained, free=free)

    assert [found[name].value for name in ("schema_validity", "valid_output", "field_f1")] == [
        0.0,
        0.0,
        1.0,
    ]


def test_two_models_are_compared_field_by_field() -> None:
    good = predictions([({"name": "a"}, '{"name":"a"}')] * 20)
    poor = predictions([({"name": "a"}, '{"name":"b"}')] * 20)

    for name in ("exact_match", "field_f1", "f1.name"):
        found = paired_difference(name, good, poor, Judging(task=TASK, confidence=0.95, seed=7))
        assert found.metric.value == 1.0
        assert found.p_value is not None
        assert found.p_value < 0.01


ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from("ab"),
        "items": st.lists(st.fixed_dictionaries({"n": st.integers(0, 2)}), max_size=3),
    },
)


@settings(max_examples=examples(30), deadline=None)
@given(rows=st.lists(st.tuples(ANSWERS, ANSWERS), min_size=1, max_size=12))
def test_fields_of_single_values_score_as_in_scikit_learn(rows: list[Any]) -> None:
    """Each possible (field, value, how many-th) is a label of its own; micro averages are then equal."""
    from sklearn.metrics import precision_recall_fscore_support

    def marks(answer: dict[str, Any]) -> set[tuple[str, object, int]]:
        found = {("name", answer["name"], 0)} if "name" in answer else set()
        numbers = [item["n"] for item in answer.get("items", [])]
        return found | {("n", n, k) for n in numbers for k in range(numbers.count(n))}

    labels: list[tuple[str, Any, int]] = [("name", name, 0) for name in "ab"]
    labels += [("n", n, k) for n in range(3) for k in range(3)]
    targets, outputs = (
        np.array([[mark in marks(row[side]) for mark in labels] for row in rows], dtype=int)
        for side in (0, 1)
    )

    found = values(predictions([(target, json.dumps(output)) for target, output in rows]), TASK)

    theirs = precision_recall_fscore_support(targets, outputs, average="micro", zero_division=0)
    for name, value in zip(("field_precision", "field_recall", "field_f1"), theirs, strict=False):
        assert value == 0 if isinstance(found[name], str) else pytest.approx(value) == found[name]
    exact = [
        (target.get("name"), target.get("items")) == (output.get("name"), output.get("items"))
        for target, output in rows
    ]
    assert pytest.approx(np.mean(exact)) == found["exact_match"]


def test_a_wrong_value_is_one_mistake_and_not_two() -> None:
    """It is given in vain and missed: as two trials its interval lay above the truth in 7 % of samples, not 2.5."""
    right, wrong = ({"name": "a"}, '{"name":"a"}'), ({"name": "a"}, '{"name":"b"}')
    scores = judged(*[right] * 90, *[wrong] * 10)

    f1, recall = (scores.metric(f"{part}.name") for part in ("f1", "recall"))

    assert f1.value == recall.value == 0.9
    assert f1.interval is not None
    assert recall.interval is not None
    widths = [one.high - one.low for one in (f1.interval, recall.interval)]
    assert widths[0] == pytest.approx(widths[1], abs=0.02)
