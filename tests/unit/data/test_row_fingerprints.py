"""Fingerprints of rows: what changes one, and how a changed row is found."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import membership as fingerprints
from engine.data.membership import Fingerprints, differing, fingerprint
from engine.data.reading.row import Row


def made(texts: Iterable[str]) -> list[Row]:
    return [
        Row(origin=f"rows.csv:{line}", values={"text": text, "label": "a"})
        for line, text in enumerate(texts, start=2)
    ]


def recorded(rows: list[Row]) -> str:
    marks = Fingerprints()
    assert list(marks.watch(rows)) == rows
    written = marks.written()
    assert written is not None
    return written


@given(st.lists(st.text(), unique=True, min_size=1), st.data())
def test_a_changed_row_is_found_wherever_it_stands(texts: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(texts) - 1))
    before, now = made(texts), made(texts)
    now[at] = Row(origin=now[at].origin, values={"text": texts[at], "label": "b"})

    found = differing(now, recorded(before))

    assert (found.rows, found.other, found.gone) == (1, 1, 1)
    assert found.first == f"rows.csv:{at + 2}"


@given(st.lists(st.text()))
def test_the_order_of_rows_says_nothing(texts: list[str]) -> None:
    rows = made(texts)
    other = rows[::-1]

    assert recorded(rows) == recorded(other)
    assert differing(other, recorded(rows)).rows == 0


def test_rows_that_repeat_are_counted() -> None:
    rows = made(["a", "a", "b"])

    assert differing(rows[1:], recorded(rows)).gone == 1
    assert differing([*rows, rows[0]], recorded(rows)).other == 1


def test_of_too_many_rows_only_the_number_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "RECORDED_ROWS", 2)
    marks = Fingerprints()
    list(marks.watch(made("abc")))

    assert (marks.rows, marks.written()) == (3, None)


def test_values_that_are_no_json_have_a_fingerprint() -> None:
    row = Row(origin="a", values={"blob": b"\x00", "set": {1}, "half": "\ud800"})

    assert len(fingerprint(row)) == fingerprints.BYTES
