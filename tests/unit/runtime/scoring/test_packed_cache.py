"""Attention with its log-sum-exp is the same by the processor's kernel and written out."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine.runtime.scoring import packed_cache
from engine.runtime.scoring.packed_cache import (
    Piece,
    UnsupportedModelError,
    _alike,
    _attention,
    _group,
    refuse_other_logits,
    room_for_states,
)


@pytest.mark.parametrize("masked", [False, True])
def test_the_kernel_and_plain_arithmetic_agree(*, masked: bool) -> None:
    draw = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, 3, size, 16, generator=draw) for size in (5, 7, 7))
    hidden = torch.zeros(2, 1, 5, 7)
    hidden[0, 0, :, 4:] = -math.inf
    mask = hidden if masked else None
    wider = torch.nn.functional.pad(value, (0, 1))  # values of another size: no kernel for it

    out, total = _attention(query, key, value, mask, 0.25)
    plain, plain_total = _attention(query, key, wider, mask, 0.25)

    torch.testing.assert_close(out, plain[..., :16])
    torch.testing.assert_close(total, plain_total)


@pytest.mark.parametrize("masked", [False, True])
def test_scores_of_long_rows_are_computed_a_part_at_a_time(
    monkeypatch: pytest.MonkeyPatch, *, masked: bool
) -> None:
    draw = torch.Generator().manual_seed(3)
    query, key = (torch.randn(2, 3, size, 16, generator=draw) for size in (50, 70))
    value = torch.randn(2, 3, 70, 17, generator=draw)  # of another size: no kernel for it
    hidden = torch.randn(2, 1, 50, 70, generator=draw) if masked else None
    whole = _attention(query, key, value, hidden, 0.25)
    most = 4 * 2 * 3 * 70 * 8
    monkeypatch.setattr(packed_cache, "SCORE_BYTES", most)
    sizes = list[int]()

    plain: Any = TorchDispatchMode

    class Sizes(plain):  # type: ignore[misc]
        def __torch_dispatch__(self, call: Any, _: Any, given: Any = (), named: Any = None) -> Any:
            made = call(*given, **(named or {}))
            sizes.append(made.nbytes if isinstance(made, torch.Tensor) else 0)
            return made

    with Sizes():
        parts = _attention(query, key, value, hidden, 0.25)

    torch.testing.assert_close(parts, whole)
    assert max(sizes) <= max(most, *(one.nbytes for one in (query, key, value)))


@pytest.mark.parametrize(("gib", "room"), [(80, 8), (24, 3), (8, 1)])
def test_states_leave_a_small_gpu_its_memory(
    monkeypatch: pytest.MonkeyPatch, gib: int, room: int
) -> None:
    whole = SimpleNamespace(total_memory=gib << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: whole)

    assert room_for_states(torch.device("cuda"), 8 << 30) == room << 30
    assert room_for_states(torch.device("cpu"), 8 << 30) == 8 << 30


def _piece(tokens: int, seen: int = 0) -> Piece:
    return Piece(
        tokens=range(tokens), position=0, slots=range(100, 100 + tokens), seen=range(seen), scored=1
    )


def test_pieces_of_like_length_attend_together() -> None:
    pieces = [_piece(tokens) for tokens in (1, 20, 1, 17, 12)]

    assert list(_alike(pieces)) == [[1, 3], [4], [0, 2]]


def test_a_token_sees_what_stands_before_it_in_its_row_only() -> None:
    group = _group([_piece(3), _piece(2, seen=2)], [0, 1], torch.float32, torch.device("cpu"))

    visible = (group.mask[:, 0] == 0).int().tolist()
    assert group.context.view(2, -1).tolist() == [[100, 101, 102, 100], [0, 1, 100, 101]]
    assert visible[0] == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert visible[1][:2] == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert group.tokens.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("dtype", "off", "refused"),
    [
        (torch.bfloat16, 0.06, False),
        (torch.bfloat16, 0.2, True),
        (torch.float16, 0.01, False),
        (torch.float16, 0.05, True),
        (torch.float32, 1e-4, False),
        (torch.float32, 0.01, True),
        (torch.float32, float("nan"), True),
    ],
)
def test_rounding_is_no_other_attention(dtype: torch.dtype, off: float, *, refused: bool) -> None:
    drawn = torch.Generator().manual_seed(3)
    plain = 3 * torch.randn(4096, generator=drawn)
    packed = plain + off * 3 * torch.randn(4096, generator=drawn)

    if refused:
        with pytest.raises(UnsupportedModelError):
            refuse_other_logits(packed, plain, dtype)
    else:
        refuse_other_logits(packed, plain, dtype)


@pytest.mark.parametrize(
    ("others", "refused"),
    [((0.02, 0.03), False), ((0.02, 0.3), True), ((0.02,), True), ((0.3, 0.3), True), ((), True)],
)
def test_one_row_of_three_may_be_moved_by_rounding(
    others: tuple[float, ...], *, refused: bool
) -> None:
    drawn = torch.Generator().manual_seed(3)
    plain = 3 * torch.randn(4096, generator=drawn)

    def moved(off: float) -> torch.Tensor:
        return plain + off * 3 * torch.randn(4096, generator=drawn)

    found = ((moved(off), plain) for off in others)
    if refused:
        with pytest.raises(UnsupportedModelError):
            refuse_other_logits(moved(0.11), plain, torch.bfloat16, found)
    else:
        refuse_other_logits(moved(0.11), plain, torch.bfloat16, found)
