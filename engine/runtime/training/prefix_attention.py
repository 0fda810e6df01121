"""Attention over one sequence of many rows behind one copy of what they share: each row sees the start and itself.

States lie in the sequence token by token. Attention lays pieces of like length beside each other, in lanes, so that
few scores are computed that a mask throws away. Way there and way back are each one gathering of vectors: autograd
would add up what it does not know to be apart, at fifty times the cost in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from engine.runtime.scoring.packed_cache import UNKNOWN, UnsupportedModelError
from engine.values import dataclass

NAME = "recipe_shared_prefix"
"""Of the attention function among transformers' own."""
UNSUPPORTED = ("sliding_window", *UNKNOWN)
"""What some models ask of attention, and this one does not do."""
SCORE_BYTES = 16 << 20
"""Scores of one layer that may be kept for the backward pass.

On a CPU, PyTorch's fused attention takes five times as long for short rows in half precision, most of it backward.
"""
LANE_SCORES = 4096
"""A further lane costs a layer as much time as so many scores of each head, measured of a model of 135 M parameters."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """B pieces of the sequence beside each other."""

    places: torch.Tensor
    """[B, U] places in the sequence: piece by piece, the last place repeated up to the longest piece's length."""
    prefix: int
    """Tokens at the start of the sequence that all of them see; may be 0."""

    @cached_property
    def seen(self) -> torch.Tensor:
        """[B, prefix + U] the places that a piece sees, as far as the mask allows."""
        start = torch.arange(self.prefix, device=self.places.device)
        return torch.cat([start.expand(len(self.places), -1), self.places], dim=1)

    @cached_property
    def own(self) -> torch.Tensor:
        """[B, U] which of its places are no repetition."""
        first = torch.ones_like(self.places[:, :1], dtype=torch.bool)
        return torch.cat([first, self.places[:, 1:] != self.places[:, :-1]], dim=1)

    def mask(self, times: int) -> torch.Tensor:
        """Return [times * U, prefix + U], what the queries of each head of a group see."""
        longest = self.places.shape[1]
        sizes = (longest, self.prefix + longest)
        # A repetition stands behind all tokens of its piece: no query that is kept sees one.
        one = torch.ones(sizes, dtype=torch.bool, device=self.places.device).tril(self.prefix)
        return one.repeat(times, 1)


@dataclass(frozen=True, kw_only=True)
class Gathering:
    """How states [T, heads, size] are laid into lanes: [B * groups, heads / groups * U, size] of each, flattened."""

    index: torch.Tensor
    """[N] of each vector of the lanes, which of the T * heads it is."""
    places: torch.Tensor
    """[T * heads] where in the lanes each vector stands as its piece's own."""
    repeated: torch.Tensor
    """Where in the lanes the last vector of a piece is repeated."""
    shapes: tuple[tuple[int, int], ...]
    """B * groups and heads / groups * U of each lane."""

    @classmethod
    def of(
        cls, lanes: Sequence[tuple[torch.Tensor, torch.Tensor]], heads: int, groups: int
    ) -> Gathering:
        """Return that of lanes that are given as places and which of these are their pieces' own, each [B, U]."""
        numbers = torch.arange(heads, device=lanes[0][0].device).view(1, groups, -1, 1)
        index = [places[:, None, None] * heads + numbers for places, _ in lanes]
        own = [
            mine[:, None, None].expand(one.shape)
            for one, (_, mine) in zip(index, lanes, strict=True)
        ]
        flat, is_own = (torch.cat([one.reshape(-1) for one in parts]) for parts in (index, own))
        (at,) = is_own.nonzero(as_tuple=True)
        return cls(
            index=flat,
            places=torch.empty_like(at).index_copy_(0, flat[at], at),
            repeated=(~is_own).nonzero(as_tuple=True)[0],
            shapes=tuple(
                (one.shape[0] * one.shape[1], one.shape[2] * one.shape[3]) for one in index
            ),
        )

    def split(self, flat: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return [N, size] as lanes."""
        parts = torch.split(flat, [one * other for one, other in self.shapes])
        return tuple(part.view(*shape, -1) for part, shape in zip(parts, self.shapes, strict=True))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the prefix and the rows stand in the one sequence of T tokens."""

    lanes: tuple[Lane, ...]
    """The prefix as a piece of its own, if there is one, and the rows: each place is one piece's own."""
    _gatherings: dict[tuple[int, int], tuple[Gathering, Gathering]] = field(
        default_factory=dict, repr=False
    )
    _masks: dict[int, list[torch.Tensor]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, prefix: int, lengths: Sequence[int]) -> Layout:
        """Return that of a start of `prefix` tokens and rows of so many further ones behind it, in this order."""
        starts, place = [], prefix
        for length in lengths:
            starts.append(place)
            place += length
        lanes = [Lane(places=torch.arange(prefix)[None], prefix=0)] if prefix else []
        for rows in lanes_of(lengths, prefix):
            longest = max(lengths[row] for row in rows)
            last = torch.tensor([[starts[row] + lengths[row] - 1] for row in rows])
            first = torch.tensor([[starts[row]] for row in rows])
            lanes.append(Lane(places=(first + torch.arange(longest)).minimum(last), prefix=prefix))
        return cls(lanes=tuple(lanes))

    def to(self, device: torch.device | str, **options: Any) -> Layout:
        """Return the same on a device, as loaders of batches ask."""
        return Layout(
            lanes=tuple(
                replace(lane, places=lane.places.to(device, **options)) for lane in self.lanes
            )
        )

    def gatherings(self, heads: int, groups: int) -> tuple[Gathering, Gathering]:
        """Return how queries of so many heads, and keys and values of so many groups, are laid into lanes."""
        if (heads, groups) not in self._gatherings:
            asked = [(lane.places, lane.own) for lane in self.lanes]
            seen = [(lane.seen, _own_seen(lane)) for lane in self.lanes]
            self._gatherings[heads, groups] = (
                Gathering.of(asked, heads, groups),
                Gathering.of(seen, groups, groups),
            )
        return self._gatherings[heads, groups]

    def masks(self, times: int) -> list[torch.Tensor]:
        """Return the masks of the lanes, as `Lane.mask`; every layer asks for the same ones."""
        if times not in self._masks:
            self._masks[times] = [lane.mask(times) for lane in self.lanes]
        return self._masks[times]


def lanes_of(lengths: Sequence[int], prefix: int) -> list[list[int]]:
    """Return which rows stand in one lane, so that padding and lanes together cost least.

    Rows are taken in the order of their lengths; `best[n]` is what the n shortest cost, and where their last lane
    begins.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    best: list[tuple[int, int]] = [(0, 0)]
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        row = longest * (prefix + longest)
        best.append(
            min((best[start][0] + (end - start) * row + LANE_SCORES, start) for start in range(end))
        )
    lanes: list[list[int]] = []
    end = len(order)
    while end:
        start = best[end][1]
        lanes.insert(0, sorted(order[start:end]))
        end = start
    return lanes


class _IntoLanes(torch.autograd.Function):
    """States [T, heads, size] to those of each lane, [B * groups, heads / groups * U, size]."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, gathering: Gathering, prefixes: Sequence[int]
    ) -> tuple[torch.Tensor, ...]:
        """Lay them beside each other."""
        ctx.gathering, ctx.prefixes, ctx.shape = gathering, prefixes, states.shape
        return gathering.split(
            states.reshape(-1, states.shape[-1]).index_select(0, gathering.index)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return each vector's own gradient; those of the prefix get what all pieces send back."""
        size = ctx.shape[-1]
        flat = torch.cat([one.reshape(-1, size) for one in gradients])
        found = flat.index_select(0, ctx.gathering.places).view(ctx.shape)
        for gradient, prefix in zip(gradients, ctx.prefixes, strict=True):
            if prefix:
                # [B, groups, prefix, size]: keys have a head a group
                sent = gradient.view(-1, ctx.shape[1], gradient.shape[1], size)[:, :, :prefix]
                found[:prefix] += sent.sum(0).transpose(0, 1)
        return found, None, None


class _OutOfLanes(torch.autograd.Function):
    """What each lane found, as in `_IntoLanes`, to [T, heads, size]."""

    @staticmethod
    def forward(ctx: Any, gathering: Gathering, heads: int, *found: torch.Tensor) -> torch.Tensor:
        """Put each vector where its token stands."""
        ctx.gathering = gathering
        size = found[0].shape[-1]
        flat = torch.cat([one.reshape(-1, size) for one in found])
        return flat.index_select(0, gathering.places).view(-1, heads, size)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the lanes' gradients; nothing comes back to a repetition."""
        (gradient,) = gradients
        flat = gradient.reshape(-1, gradient.shape[-1]).index_select(0, ctx.gathering.index)
        flat.index_fill_(0, ctx.gathering.repeated, 0)
        return None, None, *ctx.gathering.split(flat)


def attend(  # noqa: PLR0913, RUF100 - as in transformers
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    layout: Layout,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Return [1, T, heads, size] for queries [1, heads, T, size], keys and values [1, groups, T, size]."""
    unknown = [name for name in UNSUPPORTED if others.get(name) is not None]
    if unknown or dropout:
        asked = ", ".join(unknown or ["dropout"])
        raise UnsupportedModelError(f"the model's attention asks for {asked}")
    (heads, _, size), groups = query[0].shape, key.shape[1]
    asking, answering = layout.gatherings(heads, groups)
    prefixes = [lane.prefix for lane in layout.lanes]
    queries = _IntoLanes.apply(query[0].transpose(0, 1), asking, [0] * len(prefixes))
    keys, values = (
        _IntoLanes.apply(states[0].transpose(0, 1), answering, prefixes) for states in (key, value)
    )
    scale = size**-0.5 if scaling is None else scaling
    found = [
        _attention(*states, scale)
        for states in zip(queries, keys, values, layout.masks(heads // groups), strict=True)
    ]
    return _OutOfLanes.apply(asking, heads, *found).unsqueeze(0), None


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Return [N, Q, size] for queries [N, Q, size], keys and values [N, K, size]; the mask is [Q, K]."""
    scores = query.shape[0] * query.shape[1] * key.shape[1] * query.element_size()
    if query.device.type != "cpu" or query.dtype == torch.float32 or scores > SCORE_BYTES:
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    hidden = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -torch.inf)
    shares = torch.baddbmm(hidden[None], query, key.transpose(1, 2), alpha=scale).softmax(-1)
    return torch.bmm(shares, value)


def _own_seen(lane: Lane) -> torch.Tensor:
    start = lane.own.new_zeros(()).expand(len(lane.places), lane.prefix)
    return torch.cat([start, lane.own], dim=1)


AttentionInterface.register(NAME, attend)
# The layout says what is seen: no mask is built.
AttentionMaskInterface.register(NAME, lambda **_: None)
