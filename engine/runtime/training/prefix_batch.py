"""Rows of one batch in one sequence, unpadded, behind one copy of the tokens that they all begin with.

    [prefix | rest of row 1 | rest of row 2 | ...]      positions start again at the end of the prefix for each row

Attention is causal, so the states of a common start are the same for every row: computed once, forward and
backward, they give the same loss and the same gradients. Linear layers see no token twice and no padding; only
attention lays the rows beside each other, each as queries of its own tokens against the prefix and itself.
Autograd adds up what all rows send back to the prefix. Logits are computed where something is learned, and there only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from engine.runtime.rendering.packing import IGNORED
from engine.runtime.scoring.label_search import common_prefix
from engine.runtime.scoring.packed_cache import UNKNOWN, UnsupportedModelError

NAME = "recipe_shared_prefix"
"""Of the attention function among transformers' own."""
UNSUPPORTED = ("sliding_window", *UNKNOWN)
"""What some models ask of attention, and this one does not do."""
SCORE_BYTES = 16 << 20
"""Scores of one layer that may be kept for the backward pass.

On a CPU, PyTorch's fused attention takes five times as long for short rows in half precision, most of it backward.
"""

Row = Mapping[str, Sequence[int]]
"""`input_ids` and `labels` of the same length; `IGNORED` where nothing is learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the prefix and the rows stand in the one sequence of T tokens."""

    prefix: int
    """Tokens that all rows begin with; may be 0."""
    rows: torch.Tensor
    """[B, U] places in the sequence: row by row, the last place repeated up to the longest row's length."""
    kept: torch.Tensor
    """[T - prefix] places in the flattened `rows` that are no repetition, in the order of the sequence."""
    mask: torch.Tensor
    """[U, prefix + U] what a row's tokens see of the prefix and of themselves, the same for every row and layer."""

    def to(self, device: torch.device | str, **options: Any) -> Layout:
        """Return the same on a device, as loaders of batches ask."""
        moved = {
            name: getattr(self, name).to(device, **options) for name in ("rows", "kept", "mask")
        }
        return replace(self, **moved)


def shared_prefix(rows: Sequence[Row]) -> int:
    """Return how many tokens all rows begin with, less what a row needs behind it.

    That is its first learned token and the one before, which predicts it: two rows may go on differently there.
    """
    common = common_prefix([list(row["input_ids"]) for row in rows])
    return max(0, min(common, *(_first_learned(row) - 1 for row in rows)))


def shared_batch(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows as one batch of a model whose attention is `NAME`."""
    prefix = shared_prefix(rows)
    lengths = [len(row["input_ids"]) - prefix for row in rows]
    starts = list(accumulate(lengths, initial=prefix))
    longest = max(lengths)
    ids = [*rows[0]["input_ids"][:prefix]]
    positions = [*range(prefix)]
    places: list[list[int]] = []
    kept: list[int] = []
    learned: list[int] = []
    labels: list[int] = []
    for number, (row, length, start) in enumerate(zip(rows, lengths, starts, strict=False)):
        ids += row["input_ids"][prefix:]
        positions += range(prefix, prefix + length)
        places.append([start + min(place, length - 1) for place in range(longest)])
        kept += range(number * longest, number * longest + length)
        for place, label in enumerate(row["labels"][prefix + 1 :]):
            if label != IGNORED:
                learned.append(start + place)
                labels.append(label)
    target = torch.tensor([labels])
    # A repetition stands behind all tokens of its row: no query that is kept sees one.
    mask = torch.ones(longest, prefix + longest, dtype=torch.bool).tril(prefix)
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        # Beside the shifted ones, which the loss reads: trainers ask whether a batch has labels at all.
        "labels": target,
        "shift_labels": target,
        "logits_to_keep": torch.tensor(learned),
        "layout": Layout(
            prefix=prefix, rows=torch.tensor(places), kept=torch.tensor(kept), mask=mask
        ),
    }


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
    parts = [_attend_rows(query[0], key[0], value[0], layout, scaling)]
    if prefix := layout.prefix:
        start = scaled_dot_product_attention(
            query[:, :, :prefix],
            key[:, :, :prefix],
            value[:, :, :prefix],
            is_causal=True,
            scale=scaling,
            enable_gqa=True,
        )
        parts.insert(0, start[0])
    return torch.cat(parts, dim=1).transpose(0, 1).unsqueeze(0), None


def _attend_rows(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layout: Layout,
    scaling: float | None,
) -> torch.Tensor:
    """Return [heads, T - prefix, size]: what the rows see of the prefix and of themselves."""
    (heads, _, size), groups = query.shape, key.shape[0]
    count, longest = layout.rows.shape
    places = layout.rows.flatten()
    # Queries that share keys stand one behind another, so that no key is copied for each of them.
    asked = query.index_select(1, places).view(groups, -1, count, longest, size)
    asked = asked.permute(2, 0, 1, 3, 4).reshape(count, groups, -1, size)

    def seen(states: torch.Tensor) -> torch.Tensor:
        start = states[:, : layout.prefix].expand(count, -1, -1, -1)
        own = states.index_select(1, places).view(groups, count, longest, size).transpose(0, 1)
        return torch.cat([start, own], dim=2)

    mask = layout.mask.repeat(heads // groups, 1)
    found = _attention(asked, seen(key), seen(value), mask, scaling)
    found = found.view(count, groups, -1, longest, size).permute(1, 2, 0, 3, 4)
    return found.reshape(heads, -1, size).index_select(1, layout.kept)


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float | None,
) -> torch.Tensor:
    """Return [B, groups, Q, size] for queries [B, groups, Q, size], keys and values [B, groups, K, size]."""
    count, groups, asked, size = query.shape
    scores = count * groups * asked * key.shape[2] * query.element_size()
    if query.device.type != "cpu" or query.dtype == torch.float32 or scores > SCORE_BYTES:
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)
    hidden = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -torch.inf)
    rows, seen, states = (one.flatten(0, 1) for one in (query, key, value))
    scale = size**-0.5 if scaling is None else scaling
    shares = torch.baddbmm(hidden.unsqueeze(0), rows, seen.transpose(1, 2), alpha=scale).softmax(-1)
    return torch.bmm(shares, states).view(count, groups, asked, -1)


def _first_learned(row: Row) -> int:
    return next(
        (place for place, label in enumerate(row["labels"]) if label != IGNORED),
        len(row["labels"]),
    )


AttentionInterface.register(NAME, attend)
# The layout says what is seen: no mask is built.
AttentionMaskInterface.register(NAME, lambda **_: None)
