from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from engine.evidence import Scores
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.scoring import agreement, named_metrics, score
from engine.metrics.table import Column, group_numbers, make_table, one_hot, same_rows, scattered
from engine.values import replace
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]


def judged(predictions: list[Prediction]) -> Scores:
    return score(
        predictions,
        Judging(task=task("classification", labels=("a", "b")), confidence=0.95, seed=7),
    )


def test_valid_output_of_the_gate_comes_from_free_decoding(answers: Answers) -> None:
    constrained = judged(answers({"a": "aa", "b": "bb"}))
    free = judged(answers({"a": "a-", "b": "bb"}))

    metrics = named_metrics(constrained, free=free)

    assert metrics["valid_output"].value == 0.75
    assert metrics["accuracy"].value == 1.0
    assert named_metrics(constrained)["valid_output"].value == 1.0


def test_agreement_is_the_share_of_equal_labels(answers: Answers) -> None:
    metric = agreement(answers({"a": "ab-b"}), answers({"a": "ab-a"})[::-1], confidence=0.95)

    assert (metric.name, metric.value, metric.n) == ("agreement", 0.75, 4)
    assert metric.interval is not None
    assert metric.interval.method == "wilson"


def test_agreement_of_groups_is_less_sure(answers: Answers) -> None:
    rows = answers({"a": "a" * 40, "b": "b" * 40})
    grouped = [replace(row, group=f"g{place // 20}") for place, row in enumerate(rows)]

    apart = agreement(rows, rows, confidence=0.95).interval
    together = agreement(grouped, grouped, confidence=0.95).interval

    assert apart is not None
    assert together is not None
    assert together.low < 0.55 < apart.low


def test_likelihoods_have_no_answers_that_could_agree(answers: Answers) -> None:
    rows = [replace(row, nats=1.0, tokens=1, bytes=1) for row in answers({"a": "aa"})]

    metric = agreement(rows, rows, confidence=0.95)

    assert (metric.value, metric.undefined) == (None, "likelihoods have no answers to compare")


def test_no_rows_agree_in_nothing() -> None:
    assert agreement([], [], confidence=0.95).undefined == "no rows"


def test_two_outputs_that_are_no_answers_agree_where_they_are_the_same_text(
    answers: Answers,
) -> None:
    one, other = answers({"a": "-"}), answers({"a": "-"})
    different = [replace(row, text="something else") for row in other]

    assert agreement(one, other, confidence=0.95).value == 1
    assert agreement(one, different, confidence=0.95).value == 0


def test_sums_are_read_by_name(answers: Answers) -> None:
    rows = answers({"a": "aab"})
    made = make_table(
        rows,
        {
            "given": Column(one_hot(np.array([0, 0, 1]), 2)),
            "weight": Column(np.array([1.0, 2.0, 4.0]), right=np.zeros(3)),
        },
        names=("a", "b"),
    )

    sums = made.sums()

    assert (sums["rows"], sums["weight"]) == (3, 7)
    assert sums["given"].tolist() == [2, 1]
    assert made.column("weight").tolist() == [1, 2, 4]
    assert made.right.sum() == 6
    assert made.wrong.sum() == made.answered.sum()


def test_a_place_outside_leaves_its_row_empty() -> None:
    assert one_hot(np.array([1, 2, -1]), 2).toarray().tolist() == [[0, 1], [0, 0], [0, 0]]
    assert one_hot(np.array([1, 0]), 2, np.array([5.0, 6.0])).toarray().tolist() == [[0, 5], [6, 0]]


def test_values_stand_at_their_places() -> None:
    found = scattered([{1: 2.0}, {}, {0: 1.0, 1: 3.0}], 2)

    assert found.toarray().tolist() == [[0, 2], [0, 0], [1, 3]]
    assert scattered([], 2).shape == (0, 2)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["", "", ""], None),
        (["x", "y", "z"], None),
        (["x", "y", "x"], [0, 1, 0]),
        (["x", "", "x", ""], [0, 1, 0, 2]),
        (["x", "", "y"], None),
        (["", "", "y"], None),
        ([], None),
    ],
)
def test_rows_are_numbered_by_group(groups: list[str], expected: list[int] | None) -> None:
    found = group_numbers(groups)

    assert (None if found is None else found.tolist()) == expected


def test_models_judged_on_different_rows_are_not_compared(answers: Answers) -> None:
    with pytest.raises(ValueError, match="different rows"):
        same_rows(answers({"a": "ab"}), answers({"a": "abb"}))
    with pytest.raises(ValueError, match="different rows"):
        same_rows(answers({"a": "ab"}), answers({"b": "ab"}))


def test_predictions_come_back_as_they_were_written(tmp_path: Path) -> None:
    predictions = [
        Prediction(id="a" * 16, target="ja", label="ja", text="ja", probability=0.25),
        Prediction(
            id="b" * 16,
            target="ja",
            label=None,
            text="line\nnext\u2028é \U0001f600",
            probability=None,
        ),
    ]

    write_predictions(tmp_path / "p.jsonl", predictions)

    assert predictions == read_predictions(tmp_path / "p.jsonl")


def test_a_file_holds_one_json_object_a_line(tmp_path: Path) -> None:
    prediction = Prediction(id="0f", target="ä", label="ä", text="ä\n", probability=1.0)

    write_predictions(tmp_path / "p.jsonl", [prediction])

    assert (tmp_path / "p.jsonl").read_text(
        encoding="utf-8"
    ) == '{"id": "0f", "target": "ä", "label": "ä", "text": "ä\\n", "probability": 1.0}\n'


def test_a_probability_that_is_no_number_is_never_written(tmp_path: Path) -> None:
    prediction = Prediction(id="0f", target="a", label="a", text="a", probability=float("nan"))

    with pytest.raises(ValueError, match="Out of range"):
        write_predictions(tmp_path / "p.jsonl", [prediction])
