"""Which rows stand beside each other in attention, and what each of them sees."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from engine.runtime.training import prefix_attention as module
from engine.runtime.training.prefix_attention import Layout, lanes_of


def cost(lanes: list[list[int]], lengths: list[int], prefix: int) -> int:
    longest = [max(lengths[row] for row in rows) for rows in lanes]
    scores = sum(
        len(rows) * most * (prefix + most) for rows, most in zip(lanes, longest, strict=True)
    )
    return scores + module.LANE_SCORES * len(lanes)


@pytest.mark.parametrize(
    "lengths", [[5], [60, 8, 9, 58, 7, 61], [300, 20, 100, 20, 90, 280, 19], [4] * 9]
)
def test_no_other_division_of_rows_by_length_costs_less(lengths: list[int]) -> None:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    found = lanes_of(lengths, 30)

    for cuts in product((False, True), repeat=len(lengths) - 1):
        ends = [0, *(n for n, cut in enumerate(cuts, 1) if cut), len(order)]
        lanes = [order[start:end] for start, end in pairwise(ends)]
        assert cost(found, lengths, 30) <= cost(lanes, lengths, 30)
    assert sorted(row for rows in found for row in rows) == [*range(len(lengths))]


def test_rows_of_like_length_share_a_lane_and_long_ones_have_their_own() -> None:
    assert lanes_of([300, 20, 301, 22], 10) == [[1, 3], [0, 2]]


@pytest.mark.parametrize("prefix", [0, 3])
def test_each_place_is_one_pieces_own_and_goes_back_to_where_it_was(prefix: int) -> None:
    lengths = [4, 90, 2, 95]
    layout = Layout.of(prefix, lengths)
    states = torch.randn(prefix + sum(lengths), 4, 8)
    asking, answering = layout.gatherings(4, 2)

    lanes = module._IntoLanes.apply(states, asking, [0] * len(layout.lanes))

    assert torch.equal(module._OutOfLanes.apply(asking, 4, *lanes), states)
    assert len(answering.places) == 2 * len(states)
    assert len(layout.lanes) == 2 + bool(prefix)


def test_a_layout_moves_with_its_batch() -> None:
    layout = Layout.of(2, [3, 5]).to("meta")

    assert {lane.places.device.type for lane in layout.lanes} == {"meta"}
