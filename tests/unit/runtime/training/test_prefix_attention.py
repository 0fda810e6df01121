"""Which rows stand beside each other in attention, and what each of them sees."""

import random
from itertools import pairwise, product

import pytest
import torch

from engine.runtime.training import prefix_attention as module
from engine.runtime.training.prefix_attention import Layout, lanes_of


def cost(lanes: list[list[int]], lengths: list[int], prefix: int) -> int:
    longest = [-(-max(lengths[row] for row in rows) // 8) * 8 for rows in lanes]
    scores = sum(
        len(rows) * most * (prefix + most) for rows, most in zip(lanes, longest, strict=True)
    )
    return scores + module.LANE_SCORES * len(lanes)


@pytest.mark.parametrize(
    "lengths", [[5], [60, 8, 9, 58, 7, 61], [300, 20, 100, 20, 90, 280, 19], [4] * 9]
)
def test_no_other_division_into_pairs_by_length_costs_less(lengths: list[int]) -> None:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    found = lanes_of(lengths, 30)

    for cuts in product((False, True), repeat=len(lengths) - 1):
        ends = [0, *(n for n, cut in enumerate(cuts, 1) if cut), len(order)]
        lanes = [order[start:end] for start, end in pairwise(ends)]
        if all(len(rows) % 2 == 0 for rows in lanes[1:]):
            assert cost(found, lengths, 30) <= cost(lanes, lengths, 30)
    assert sorted(row for rows in found for row in rows) == [*range(len(lengths))]


def test_rows_of_like_length_share_a_lane_and_long_ones_have_their_own() -> None:
    assert lanes_of([300, 20, 301, 22], 10) == [[1, 3], [0, 2]]


def test_lanes_of_many_batches_are_of_few_sizes() -> None:
    draw = random.Random(7)
    batches = [[draw.randint(8, 70) for _ in range(16)] for _ in range(50)]

    found = [lane.places.shape for lengths in batches for lane in Layout.of(32, lengths).lanes[1:]]

    assert len(set(found)) < 0.4 * len(found)


@pytest.mark.parametrize("prefix", [0, 3])
def test_each_place_is_one_pieces_own_and_goes_back_to_where_it_was(prefix: int) -> None:
    lengths = [4, 90, 2, 95]
    layout = Layout.of(prefix, lengths)
    states = torch.randn(prefix + sum(lengths), 4, 8)
    asking, answering = layout.asking(4, 2), layout.answering(2)

    lanes = module._IntoLanes.apply(states, asking, [0] * len(layout.lanes))

    assert torch.equal(module._OutOfLanes.apply(asking, 4, *lanes), states)
    assert len(answering.places) == 2 * len(states)
    assert len(layout.lanes) == 2 + bool(prefix)


def test_a_layout_moves_with_its_batch() -> None:
    layout = Layout.of(2, [3, 5]).to("meta")

    assert {lane.places.device.type for lane in layout.lanes} == {"meta"}


def test_a_long_start_goes_through_in_blocks_that_see_those_before_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BLOCK", 3)
    layout = Layout.of(10, [2, 3])
    blocks = layout.in_blocks

    assert blocks is not None
    found = [(lane.places.tolist(), lane.prefix) for lane in blocks.lanes[:-1]]
    assert found == [([[0, 1, 2, 3]], 0), ([[4, 5, 6]], 4), ([[7, 8, 9]], 7)]
    assert torch.equal(blocks.lanes[-1].places, layout.lanes[-1].places)


@pytest.mark.parametrize("prefix", [0, 2])
def test_a_short_start_has_no_blocks(prefix: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 3)

    assert Layout.of(prefix, [2, 3]).in_blocks is None
