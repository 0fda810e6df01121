"""Attention over one sequence of many rows behind one copy of what they share: each row sees the start and itself.

States are ordered by token. Attention lays pieces of similar length beside each other, in lanes, so that few scores
are computed only to be masked. Forward and backward passes each gather vectors once: autograd would add up gradients
that it does not know to be separate, at fifty times the cost in half precision.

On a CPU the keys of the start are one product with the queries of all rows of a lane, instead of a copy for every row,
and a long start is computed in blocks, which leaves out most of what its causal mask hides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from engine.runtime.scoring.packed_cache import UNKNOWN, UnsupportedModelError
from engine.values import Value, replace

NAME = "recipe_shared_prefix"
"""Name of the attention function among those of transformers."""
UNSUPPORTED = ("sliding_window", *UNKNOWN)
"""Arguments that some models pass to attention, and that this one does not support."""
SCORE_BYTES = 32 << 20
"""Scores of one layer that may be kept for the backward pass.

On a CPU, PyTorch's fused attention takes five times as long for short rows in half precision, most of it backward.
"""
BLOCK = 128
"""Tokens of a block of a long start, which see those before them in one product: 100 to 200 take the same time."""
LANE_ROWS, LANE_TOKENS = 2, 8
"""Lanes are of multiples of so many rows and tokens: of 50 steps of 16 rows 25 lanes are of a new size, and not 110.

oneDNN compiles each product for the sizes that it has (`engine.runtime.models.load`).
"""
LANE_SCORES = 4096
"""A further lane costs a layer as much time as so many scores of each head, measured of a model of 135 M parameters."""


class Lane(Value, dict=True):
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
    def scores(self) -> int:
        """Number of scores of each head."""
        return self.places.numel() * (self.prefix + self.places.shape[1])

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


class Gathering(Value, dict=True):
    """Layout of states [T, heads, size] in lanes: [groups * B, heads / groups * U, size] of each, flattened."""

    index: torch.Tensor
    """[N] of each vector of the lanes, which of the T * heads it is."""
    places: torch.Tensor
    """[T * heads] where in the lanes each vector stands as its piece's own."""
    repeated: torch.Tensor
    """Places in the lanes where the last vector of a piece is repeated."""
    shapes: tuple[tuple[int, int], ...]
    """groups * B and heads / groups * U of each lane."""

    @classmethod
    def of(
        cls, lanes: Sequence[tuple[torch.Tensor, torch.Tensor]], heads: int, groups: int
    ) -> Gathering:
        """Return that of lanes that are given as places and which of these are their pieces' own, each [B, U]."""
        numbers = torch.arange(heads, device=lanes[0][0].device).view(groups, 1, -1, 1)
        index = [places[:, None] * heads + numbers for places, _ in lanes]
        own = [mine[:, None].expand(one.shape) for one, (_, mine) in zip(index, lanes, strict=True)]
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

    def into(self, states: torch.Tensor) -> torch.Tensor:
        """Return [T, heads, size] as [N, size], lane by lane."""
        return states.reshape(-1, states.shape[-1]).index_select(0, self.index)

    def out_of(self, flat: torch.Tensor, heads: int) -> torch.Tensor:
        """Return [N, size] as [T, heads, size]."""
        return flat.index_select(0, self.places).view(-1, heads, flat.shape[-1])

    def split(self, flat: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return [N, size] as lanes."""
        parts = torch.split(flat, [one * other for one, other in self.shapes])
        return tuple(part.view(*shape, -1) for part, shape in zip(parts, self.shapes, strict=True))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Places of the prefix and of the rows in the one sequence of T tokens."""

    lanes: tuple[Lane, ...]
    """The prefix as a piece of its own, if there is one, and the rows: each place is one piece's own."""
    _known: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, prefix: int, lengths: Sequence[int]) -> Layout:
        """Return that of a start of `prefix` tokens and rows of so many further ones behind it, in this order."""
        starts, place = [], prefix
        for length in lengths:
            starts.append(place)
            place += length
        lanes = [Lane(places=torch.arange(prefix)[None], prefix=0)] if prefix else []
        for rows in lanes_of(lengths, prefix):
            longest = _rounded(max(lengths[row] for row in rows))
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

    def asking(self, heads: int, groups: int) -> Gathering:
        """Return how states of a piece's own tokens are laid into lanes: every layer asks for the same."""
        return self._once(
            ("asking", heads, groups),
            lambda: Gathering.of([(lane.places, lane.own) for lane in self.lanes], heads, groups),
        )

    def answering(self, groups: int) -> Gathering:
        """Return how those of all tokens that a piece sees are laid into lanes."""
        return self._once(
            ("answering", groups),
            lambda: Gathering.of(
                [(lane.seen, _own_seen(lane)) for lane in self.lanes], groups, groups
            ),
        )

    def masks(self, times: int) -> list[torch.Tensor]:
        return self._once(("masks", times), lambda: [lane.mask(times) for lane in self.lanes])

    def hidden(self, times: int, dtype: torch.dtype) -> list[torch.Tensor]:
        """Return what is added to scores of a piece's own tokens, [times * U, U] of each lane."""
        return self._once(
            ("hidden", times, dtype),
            lambda: [_added(lane.mask(times)[:, lane.prefix :], dtype) for lane in self.lanes],
        )

    @cached_property
    def in_blocks(self) -> Layout | None:
        """The same with a long start in blocks, each of which sees those before it; None where it is short."""
        start, *others = self.lanes
        if not others or others[0].prefix < BLOCK:
            return None
        blocks = start.places.tensor_split(round(others[0].prefix / BLOCK), dim=1)
        return Layout(lanes=(*(Lane(places=one, prefix=int(one[0, 0])) for one in blocks), *others))

    @cached_property
    def scores(self) -> int:
        return sum(lane.scores for lane in self.lanes)

    def _once[T](self, name: tuple[Any, ...], make: Callable[[], T]) -> T:
        if name not in self._known:
            self._known[name] = make()
        found: T = self._known[name]
        return found


def lanes_of(lengths: Sequence[int], prefix: int) -> list[list[int]]:
    """Return which rows stand in one lane, so that padding and lanes together cost least.

    Rows are taken in the order of their lengths; `best[n]` is what the n shortest cost, and where their last lane
    begins.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    best: dict[int, tuple[int, int]] = {0: (0, 0)}
    for end in [*range(len(order) % LANE_ROWS or LANE_ROWS, len(order), LANE_ROWS), len(order)]:
        longest = _rounded(lengths[order[end - 1]])
        row = longest * (prefix + longest)
        best[end] = min(
            (cost + (end - start) * row + LANE_SCORES, start) for start, (cost, _) in best.items()
        )
    lanes: list[list[int]] = []
    end = len(order)
    while end:
        start = best[end][1]
        lanes.insert(0, sorted(order[start:end]))
        end = start
    return lanes


def _rounded(length: int) -> int:
    return -(-length // LANE_TOKENS) * LANE_TOKENS


class _IntoLanes(torch.autograd.Function):
    """States [T, heads, size] to those of each lane, [groups * B, heads / groups * U, size]."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, gathering: Gathering, prefixes: Sequence[int]
    ) -> tuple[torch.Tensor, ...]:
        ctx.gathering, ctx.prefixes, ctx.shape = gathering, prefixes, states.shape
        return gathering.split(gathering.into(states))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return each vector's own gradient; those of the prefix get what all pieces send back."""
        size = ctx.shape[-1]
        flat = torch.cat([one.reshape(-1, size) for one in gradients])
        found = ctx.gathering.out_of(flat, ctx.shape[1])
        for gradient, prefix in zip(gradients, ctx.prefixes, strict=True):
            if prefix:
                # [groups, B, prefix, size]: keys have a head a group
                sent = gradient.view(ctx.shape[1], -1, gradient.shape[1], size)[:, :, :prefix]
                found[:prefix] += sent.sum(1).transpose(0, 1)
        return found, None, None


class _OutOfLanes(torch.autograd.Function):
    """The results of the lanes, as in `_IntoLanes`, back to [T, heads, size]."""

    @staticmethod
    def forward(ctx: Any, gathering: Gathering, heads: int, *found: torch.Tensor) -> torch.Tensor:
        ctx.gathering = gathering
        size = found[0].shape[-1]
        return gathering.out_of(torch.cat([one.reshape(-1, size) for one in found]), heads)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the lanes' gradients; nothing comes back to a repetition."""
        (gradient,) = gradients
        flat = ctx.gathering.into(gradient).index_fill_(0, ctx.gathering.repeated, 0)
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
    if torch.is_autocast_enabled(query.device.type):
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = (states.to(dtype) for states in (query, key, value))
    (heads, _, size), groups = query[0].shape, key.shape[1]
    scale = size**-0.5 if scaling is None else scaling
    # No indexing: its way back would write zeros first.
    states = [one.squeeze(0).transpose(0, 1) for one in (query, key, value)]
    # Scores that are kept for the backward pass cost less than the fused kernel of a CPU.
    on_cpu = layout.in_blocks or layout
    kept_bytes = on_cpu.scores * heads * query.element_size()
    if query.device.type == "cpu" and kept_bytes <= SCORE_BYTES:
        return _by_products(states, on_cpu, scale).unsqueeze(0), None
    asking, answering = layout.asking(heads, groups), layout.answering(groups)
    prefixes = [lane.prefix for lane in layout.lanes]
    queries = _IntoLanes.apply(states[0], asking, [0] * len(prefixes))
    keys, values = (_IntoLanes.apply(one, answering, prefixes) for one in states[1:])
    lanes = zip(queries, keys, values, layout.masks(heads // groups), strict=True)
    results = [
        scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
        for q, k, v, mask in lanes
    ]
    return _OutOfLanes.apply(asking, heads, *results).unsqueeze(0), None


def _by_products(states: Sequence[torch.Tensor], layout: Layout, scale: float) -> torch.Tensor:
    """Return [T, heads, size] for queries [T, heads, size], keys and values [T, groups, size]."""
    heads, groups = (one.shape[1] for one in states[:2])
    asking, own = layout.asking(heads, groups), layout.asking(groups, groups)
    no_prefix = [0] * len(layout.lanes)
    lanes = zip(
        layout.lanes,
        layout.hidden(heads // groups, states[0].dtype),
        _IntoLanes.apply(states[0], asking, no_prefix),
        *(_IntoLanes.apply(one, own, no_prefix) for one in states[1:]),
        strict=True,
    )
    longest = max(lane.prefix for lane in layout.lanes)
    start_keys, start_values = (one[:longest].transpose(0, 1).contiguous() for one in states[1:])
    results = []
    for lane, hidden, q, k, v in lanes:
        scores = torch.baddbmm(hidden[None], q, k.transpose(1, 2), alpha=scale)
        # The keys of the start are one product with the queries of all rows of a lane.
        seen = start_keys[:, : lane.prefix].transpose(1, 2) * scale
        of_start = torch.bmm(_by_group(q, groups), seen).view(*q.shape[:2], lane.prefix)
        shares = torch.cat([of_start, scores], dim=-1).softmax(-1)
        first, rest = torch.split(shares, [lane.prefix, k.shape[1]], dim=-1)
        mixed = torch.bmm(_by_group(first, groups), start_values[:, : lane.prefix])
        results.append(torch.baddbmm(mixed.view_as(q), rest, v))
    found: torch.Tensor = _OutOfLanes.apply(asking, heads, *results)
    return found


def _by_group(lane: torch.Tensor, groups: int) -> torch.Tensor:
    """Return [groups * B, Q, size] as [groups, B * Q, size]."""
    return lane.reshape(groups, len(lane) // groups * lane.shape[1], lane.shape[2])


def _added(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)


def _own_seen(lane: Lane) -> torch.Tensor:
    start = lane.own.new_zeros(()).expand(len(lane.places), lane.prefix)
    return torch.cat([start, lane.own], dim=1)


AttentionInterface.register(NAME, attend)
# The layout says what is seen: no mask is built.
AttentionMaskInterface.register(NAME, lambda **_: None)
