"""Which written rows may be trained on, and why the others may not."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.data.examples.example import Example
from engine.data.similarity.overlap import TooNear
from engine.data.synthetic import SiftedRows, TrainingShape, WrittenRow, sifted
from support.written_rows import labelled
from unit.data.test_unlabelled import recipe_with

TRAIN = [
    Example(id=text, origin="rows.csv:2", input=text, target=label)
    for text, label in labelled(30, seed=3)
]
JUDGING = [text for text, _ in labelled(20, seed=4)]
FRESH = [text for text, _ in labelled(12, seed=5)]


def sift(folder: Path, texts: Sequence[str], **checks: str) -> SiftedRows:
    recipe = recipe_with(
        folder,
        data={
            "sources": [{"path": "rows.csv"}],
            "label": {"column": "label"},
            "checks": {"near_duplicates": "off", **checks},
        },
    )
    rows = [
        WrittenRow(number=number, values={"text": text}) for number, text in enumerate(texts, 1)
    ]
    too_near = TooNear(JUDGING, [row.input for row in TRAIN])
    return sifted(rows, recipe, train=TRAIN, too_near=too_near)


def test_each_row_is_refused_for_the_first_reason_in_order(tmp_path: Path) -> None:
    copy = TRAIN[0].input
    nearly = TRAIN[1].input.replace("the ", "the  ", 1) + "!"
    texts = [*FRESH, copy, nearly, FRESH[0], FRESH[1] + ".", JUDGING[0]]

    found = sift(tmp_path, texts)

    first = len(FRESH)
    assert found.refused[first + 1] == "a training row already"
    assert found.refused[first + 2] in ("near a training row", "a training row already")
    again = {number for number, why in found.refused.items() if why == "near another synthetic row"}
    assert len(again) == 2
    assert {1, first + 3} & again, "one of two equal rows is kept"
    assert found.refused[first + 5] == "too near a row that judges"
    assert len(found.rows) == len(FRESH)
    assert list(found.rows) == sorted(found.rows)
    assert all(row.origin == f"synthetic:{number}" for number, row in found.rows.items())
    assert not [row for row in found.rows.values() if row.target]


def test_a_check_that_says_fail_refuses_the_row_and_not_the_run(tmp_path: Path) -> None:
    found = sift(tmp_path, [FRESH[0], "write to ann@example.org today"], personal_data="fail")

    assert list(found.rows) == [1]
    assert found.refused == {2: "personal data"}


def test_a_blank_row_is_refused(tmp_path: Path) -> None:
    shape = TrainingShape.of(recipe_with(tmp_path), TRAIN)

    assert shape.fault(WrittenRow(number=1, values={"text": " "})) == "a column without a value"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (FRESH[0], ""),
        ("short", "longer or shorter than training rows"),
        (FRESH[0] * 3, "longer or shorter than training rows"),
        (
            "Der Besucher hat gestern am Hafen eine sehr alte Laterne gefunden, schön",
            "another language",
        ),
    ],
)
def test_a_row_has_the_length_and_the_language_of_training_rows(
    tmp_path: Path, text: str, fault: str
) -> None:
    shape = TrainingShape.of(recipe_with(tmp_path), TRAIN)

    assert shape.fault(WrittenRow(number=1, values={"text": text})) == fault
