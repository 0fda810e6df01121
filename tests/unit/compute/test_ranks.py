"""The recipe's batch divided among processes."""

import pytest

from engine.compute.profile import (
    BatchDivision,
    Ranks,
    divided,
    refuse_indivisible,
    repeated_rows,
)
from engine.errors import RecipeError
from engine.values import replace
from support.launches import METHOD


@pytest.mark.parametrize("batch", [1, 6, 8, 12, 32])
@pytest.mark.parametrize("micro", [1, 2, 3, 4, 32])
def test_the_global_batch_never_changes_and_no_device_holds_more(batch: int, micro: int) -> None:
    method = replace(METHOD, batch_size=batch, micro_batch_size=micro)
    for size in [one for one in range(1, batch + 1) if batch % one == 0]:
        one = divided(method, Ranks(processes=size))

        assert one.micro_batch_size * one.accumulation * size == batch
        assert one.micro_batch_size <= micro


def test_one_process_has_the_recipes_own_numbers() -> None:
    assert divided(METHOD, Ranks()) == BatchDivision(micro_batch_size=4, accumulation=2)


def test_nodes_count_as_their_processes() -> None:
    division = divided(METHOD, Ranks(processes=2, nodes=2))

    assert division == BatchDivision(micro_batch_size=2, accumulation=1)


def test_a_batch_that_does_not_divide_is_refused_with_the_worlds_that_do() -> None:
    methods = [replace(METHOD, batch_size=size) for size in (16, 8, 12, 16)]

    with pytest.raises(RecipeError) as refused:
        refuse_indivisible(methods, Ranks(processes=6))

    assert [(one.code, one.message) for one in refused.value.problems] == [
        ("R433", "batch_size 16 runs on 1, 2, 4, 8 or 16 processes, not 6"),
        ("R433", "batch_size 8 runs on 1, 2, 4 or 8 processes, not 6"),
    ]


def test_rows_that_fill_the_last_pass_are_counted() -> None:
    one, two = Ranks(), Ranks(processes=2)

    assert repeated_rows(93, divided(METHOD, two), two) == 3
    assert repeated_rows(96, divided(METHOD, two), two) == 0
    assert repeated_rows(93, divided(METHOD, one), one) == 0
