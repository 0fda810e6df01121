"""A misspelt column is reported even where a row may lack it."""

from typing import Any

import pytest

from engine.data.examples.template import NO_HEADER
from engine.data.prepare import prepare
from engine.data.reading.row import Row
from engine.data.reading.tables import READ_QUOTES
from engine.errors import DataError
from engine.recipe.model import AnswerSpec, SpanSpec, Splits
from support.tasks import NO_CHECKS, answer, data, label, task

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
    [(answer(fields=(("city", "city"), ("zip", "zipp"))), "zipp"), (answer(spans=SPAN), "lables")],
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


@pytest.mark.parametrize(
    ("first", "file", "hint"),
    [
        (("the train was late again today", "1"), "r.csv", NO_HEADER),
        (("late train", "bug"), "r.csv.gz", NO_HEADER),
        (('"subject"', '"topic"'), "r.tsv", READ_QUOTES),
        (("late train", "bug"), "r.jsonl", "name columns of the file"),
        (("message", "bug", "billing"), "r.csv", "name columns of the file"),
        (("message", "topic"), "r.tsv", "name columns of the file"),
        (("the text of the ticket", "topic"), "r.csv", "name columns of the file"),
    ],
)
def test_a_file_whose_first_line_is_a_row_is_reported(
    first: tuple[str, ...], file: str, hint: str
) -> None:
    rows = [Row(origin=f"{file}:2", values=dict.fromkeys(first, "x"))]
    asked = task("classification", labels=("bug", "billing"), input="{subject}")
    with pytest.raises(DataError) as caught:
        prepare(rows, asked, data=data(label=label(column="x"), checks=NO_CHECKS), splits=SPLITS)

    (problem,) = [one for one in caught.value.problems if one.path == "task.input"]
    assert str(problem.hint).startswith(hint)


def test_a_column_that_another_key_names_is_not_proposed() -> None:
    rows = [Row(origin="r.csv:2", values={"text": "x", "label": "bug"})]
    asked = task("classification", labels=("bug", "billing"), input="{text}")
    with pytest.raises(DataError) as caught:
        prepare(
            rows, asked, data=data(label=label(column="intent"), checks=NO_CHECKS), splits=SPLITS
        )

    assert [problem.hint for problem in caught.value.problems] == [None]
