"""Rows that are refused are counted too: what was read is what is used and what is not, whatever is wrong."""

from collections.abc import Sequence
from typing import Any

import pytest

from engine.data.prepare import UnfitDataError
from engine.data.reading.row import Row
from engine.values import replace
from support.pools import asked
from support.prepared import pairs, run

GOOD = [
    Row(origin=f"r.csv:{n}", values={"text": text, "label": label, "at": str(n)})
    for n, (text, label) in enumerate(pairs(120), 2)
]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"text": "", "label": "bad", "at": "1"}, "empty"),
        ({"text": "a text", "label": None, "at": "1"}, "empty label"),
        ({"text": "a text", "label": "odd", "at": "1"}, "unknown label"),
        ({"label": "bad", "at": "1"}, "missing column"),
        ({"text": "a text", "label": "bad"}, "missing column"),
        ({"at": "1"}, "missing column"),
        ({"text": b"bytes", "label": "bad", "at": "1"}, "unusable value"),
        ({"text": "a text", "label": b"bytes", "at": "1"}, "unusable value"),
        ({"text": "a text", "label": "bad", "at": "noon"}, "unusable value"),
        ({"text": "a text", "label": "bad", "at": None}, "unusable value"),
    ],
)
def test_a_row_that_refuses_the_data_is_counted(values: dict[str, Any], reason: str) -> None:
    wrong = [Row(origin=f"r.csv:{n}", values=values) for n in (900, 901)]

    with pytest.raises(UnfitDataError) as caught:
        run(
            [*GOOD, *wrong],
            splits=asked(by="time", column="at", train=60, validation=10, holdout=30),
        )

    summary = caught.value.summary
    assert summary.dropped[reason] == 2
    assert summary.rows_read == 122 == summary.rows_used + sum(summary.dropped.values())


def found(values: Sequence[str], by: Any) -> list[tuple[str, tuple[str, ...]]]:
    rows = [
        replace(row, values={**row.values, "at": value})
        for row, value in zip(GOOD, values, strict=True)
    ]
    splits = asked(by=by, column="at", train=60, validation=10, holdout=30)
    return [
        (one.message, one.examples)
        for one in run(rows, splits=splits).summary.findings
        if "stay together" not in one.message
    ]


def test_groups_that_differ_in_their_spelling_are_named() -> None:
    names = [str(n % 40) for n in range(120)]
    odd = {3: "3.0", 4: " 4", 45: "5 ", 85: " 5"}

    assert found(names, "group") == []
    assert found([odd.get(n, name) for n, name in enumerate(names)], "group") == [
        (
            "3 groups are written in several ways, so rows of one may be in several splits",
            ("`3` and `3.0`", "`4` and ` 4`", "`5` and ` 5` and `5 `"),
        )
    ]


def test_numbers_among_dates_are_named() -> None:
    dates = [f"2024-01-{1 + n % 28:02}T{n % 24:02}:00" for n in range(120)]

    assert found(dates, "time") == []
    assert found(["2025", *dates[1:]], "time") == [
        (
            "1 time is a number, read as seconds since 1970, and the others are dates",
            ("r.csv:2 `2025`", "r.csv:3 `2024-01-02T01:00`"),
        )
    ]


def test_more_files_than_16_bits_count_can_be_read() -> None:
    last = replace(GOOD[-1], source=70_000)

    assert run([*GOOD[:-1], last]).summary.rows_read == 120


def test_rows_in_the_order_of_their_files_have_no_times() -> None:
    splits = asked(by="files_order", train=60, validation=10, holdout=30)

    assert [one.span for one in run(GOOD, splits=splits).summary.splits] == [None, None, None]
