"""Orders of rows: NumPy's way and Python's own give the same."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable

import pytest

from engine.data import row_order
from engine.data.row_order import only, runs, sorted_by, starts


def test_both_ways_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(4)
    values = array(
        "Q", (draw.choice((1, 2, 3, 2**63, 2**64 - 1, draw.randrange(2**64))) for _ in range(400))
    )
    times = array("d", (draw.choice((0.0, -0.0, 1.5, -2.25)) for _ in values))
    places = bytearray(draw.randrange(4) for _ in values)
    order = sorted_by(values)
    asked: list[Callable[[], object]] = [
        lambda: sorted_by(values),
        lambda: only(order, places),
        lambda: only(order, places, 2),
        lambda: starts(order, [values, times, places]),
        lambda: list(runs(order, values)),
        lambda: list(runs(order, values, least=2)),
    ]

    plain = [ask() for ask in asked]
    monkeypatch.setattr(row_order, "MANY", 0)

    assert plain == [ask() for ask in asked]
    assert [values[row] for row in order] == sorted(values)
    assert plain[1] == array("I", (row for row in order if places[row]))


def test_runs_are_of_equal_values() -> None:
    order, values = array("I", [3, 1, 0, 2, 4]), array("Q", [5, 7, 5, 7, 6])

    assert list(runs(order, values)) == [(0, 2), (2, 4), (4, 5)]
    assert list(runs(order, values, least=2)) == [(0, 2), (2, 4)]
    assert list(runs(array("I"), values)) == []
