"""A row that is padded in a batch is found there, and where it stands."""

from __future__ import annotations

from engine.runtime.rendering.packing import IGNORED
from engine.runtime.training.first_step import padded_row

SHORT = ((5, 6, 7), [IGNORED, 6, 7])
LONG = ((5, 6, 7, 8, 9), [IGNORED, IGNORED, 7, 8, 9])


def test_a_row_is_found_in_front_of_what_pads_it() -> None:
    ids, labels = [list(LONG[0]), [5, 6, 7, 0, 0]], [LONG[1], [*SHORT[1], IGNORED, IGNORED]]

    number, part, row = padded_row(ids, labels, iter([LONG, SHORT])) or (0, slice(0), {})

    assert (number, part, row["input_ids"]) == (1, slice(0, 3), SHORT[0])


def test_so_is_one_behind_it() -> None:
    ids, labels = [list(LONG[0]), [0, 0, 5, 6, 7]], [LONG[1], [IGNORED, IGNORED, *SHORT[1]]]

    number, part, _ = padded_row(ids, labels, iter([LONG, SHORT])) or (0, slice(0), {})

    assert (number, part) == (1, slice(2, 5))


def test_the_longest_is_not_padded() -> None:
    assert padded_row([list(LONG[0])], [LONG[1]], iter([LONG, SHORT])) is None


def test_rows_that_learn_otherwise_are_not_taken() -> None:
    ids, labels = [[5, 6, 7, 0, 0]], [[IGNORED, IGNORED, 7, IGNORED, IGNORED]]

    assert padded_row(ids, labels, iter([SHORT])) is None
