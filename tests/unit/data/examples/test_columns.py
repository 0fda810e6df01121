"""A misspelt column is reported even where a row may lack it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.data.prepare import prepare
from engine.data.reading.row import Row
from engine.errors import DataError
from engine.recipe.model import AnswerSpec, SpanSpec, Splits
from support.tasks import NO_CHECKS, answer, data, task

SPLITS = Splits(
    by="random", column="", train=0.6, validation=0.2, holdout=0.2, folds=0, seed=7
)  # fmt: skip
SPAN = SpanSpec(column="lables", name="slot", start="start", end="end", of="text")
ROWS = [
    {"text": f"row {number} to Rome", "city": "Rome"} | ({"zip": "1"} if number % 2 else {})
    for number in range(40)
]


def run(answer_spec: AnswerSpec) -> Any:
    rows = (Row(origin=f"r.jsonl:{n}", values=row) for n, row in enumerate(ROWS, 1))
    asked = task("extraction", schema={"type": "object"})
    return prepare(rows, asked, data=data(answer=answer_spec, checks=NO_CHECKS), splits=SPLITS)


@pytest.mark.parametrize(
    ("answer_spec", "column"),
    [
        (answer(fields=(("city", "city"), ("zip", "zipp"))), "zipp"),
        (answer(spans=SPAN), "lables"),
    ],
)
def test_a_column_that_no_row_has_is_reported(answer_spec: AnswerSpec, column: str) -> None:
    with pytest.raises(DataError) as caught:
        run(answer_spec)

    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("D301", "data.answer")
    assert f"`{column}` is missing in 40 of 40 rows (first r.jsonl:1)" in problem.message


def test_a_column_that_some_rows_lack_is_no_mistake() -> None:
    prepared = run(answer(fields=(("city", "city"), ("zip", "zip"))))

    assert prepared.summary.rows_read == len(ROWS)
