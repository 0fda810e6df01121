from __future__ import annotations

import itertools
import statistics

import pytest

from engine.estimate.workload import capped, mean, padded

LENGTHS = ((10, 2), (20, 1), (40, 1))


def test_one_row_at_once_needs_no_padding() -> None:
    assert mean(LENGTHS) == padded(LENGTHS, 1) == pytest.approx(20)


def test_padding_is_the_mean_longest_of_rows_drawn_together() -> None:
    """Against every draw of three rows with replacement, counted one by one."""
    rows = [length for length, count in LENGTHS for _ in range(count)]
    drawn = statistics.mean(max(three) for three in itertools.product(rows, repeat=3))

    assert drawn == pytest.approx(padded(LENGTHS, 3))


def test_no_rows_have_no_length() -> None:
    assert padded((), 4) == mean(()) == 0


def test_rows_over_the_limit_are_as_long_as_the_limit() -> None:
    assert capped(LENGTHS, 16) == ((10, 2), (16, 2))
