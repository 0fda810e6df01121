"""Sampled tables: every case runs with some number, and no table is left out."""

import pytest

from support.sampled import chosen


@pytest.mark.parametrize(("count", "share"), [(1, 4), (3, 4), (4, 4), (7, 3), (228, 5)])
def test_every_case_is_run_with_one_number_in_a_share(count: int, share: int) -> None:
    parts = [chosen(count, share=share, number=number) for number in range(min(share, count))]

    assert sorted(place for part in parts for place in part) == list(range(count))
    assert all(parts)
