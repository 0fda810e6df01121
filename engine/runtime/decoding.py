"""Rows decoded together: what is fed to a transformers model, step by step, and what is kept of it.

What all rows share at the start goes through the model once. Rows wait with tokens to be fed: their
prompt, the token they said, or tokens that a grammar forces. Each step feeds so many from each row as
pays, padded on the left and masked, so the logits needed are those of the last position and no others
are computed. Rows that are done leave the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer

from engine.runtime.models import LoadedModel, wants_single_rows
from engine.runtime.search import common_prefix
from engine.sources.contract import Progress

TOKENS_PER_STEP = {"cpu": 2048, "mps": 8192, "cuda": 16384}
"""Padded tokens in one forward pass."""
ROWS = {"cpu": 32, "mps": 64, "cuda": 256}
"""Rows in one batch, at most."""
CACHE_BYTES = {"cpu": 256 << 20, "mps": 1 << 30, "cuda": 8 << 30}
"""Keys and values of one batch; one row is decoded whatever it takes."""
STEP_COST = {"cpu": 8, "mps": 64, "cuda": 1024}
"""What a forward pass costs beside its tokens, in tokens."""
SPARE = 64
"""Positions of the cache that are allocated ahead."""

Step = Callable[[torch.Tensor, Sequence[int]], list[list[int]]]
"""`step(logits [n, V], n members)` returns the tokens to feed next to each, none where it is done."""


@torch.inference_mode()
def decode(
    loaded: LoadedModel,
    rows: Sequence[list[int]],
    *,
    room: int,
    step: Step,
    progress: Progress,
) -> None:
    """Feed every row, then what `step` returns for it, until it returns nothing; at most `room` tokens.

    `step` knows rows by their place in `rows`. Positions count real tokens only, so what a row says
    does not depend on its batch but for rounding.
    """
    if not rows:
        return
    longest = max(map(len, rows)) + room
    lone = wants_single_rows(loaded.model.config, longest)
    prefix = 0 if lone else common_prefix(rows)
    shared = _prefill(loaded, rows[0][:prefix])
    done = 0
    for members in _groups(loaded, rows, room=room, lone=lone):
        cache = DynamicCache(config=loaded.model.config) if lone else _spread(shared, len(members))
        waiting = {member: rows[member][prefix:] for member in members}
        _Batch(loaded, cache, waiting, seen=prefix).run(step)
        done += len(members)
        progress.update(done, len(rows), "rows")


class _Batch:
    """Rows that go through the model together."""

    def __init__(
        self, loaded: LoadedModel, cache: Cache, waiting: dict[int, list[int]], *, seen: int
    ) -> None:
        """Take rows, by place, with the tokens that are to be fed; `seen` tokens are in the cache."""
        self.model, self.device = loaded.model, loaded.device
        self.cache, self.waiting = cache, waiting
        self.mask = torch.ones(len(waiting), seen, dtype=torch.long, device=self.device)

    def run(self, step: Step) -> None:
        """Feed all that waits, ask `step` where nothing is left, until nobody has anything to say."""
        while self.waiting:
            logits = self._feed(self._width())
            asked = [member for member, left in self.waiting.items() if not left]
            if not asked:
                continue
            places = [place for place, left in enumerate(self.waiting.values()) if not left]
            all_asked = len(asked) == len(self.waiting)
            following = step(logits if all_asked else logits[places], asked)
            self.waiting |= dict(zip(asked, following, strict=True))
            self._drop_done()

    def _width(self) -> int:
        """Return how many tokens a row are fed now: the most progress for what the pass costs.

        The first pass of rows without a shared start feeds no padding, since a padding token that may
        look at nothing has no defined attention.
        """
        lengths = [len(left) for left in self.waiting.values()]
        kind, rows = self.device.type, len(lengths)
        most = max(TOKENS_PER_STEP[kind] // rows, 1)
        if not self.mask.shape[1]:
            return min(most, *lengths)

        def pays(width: int) -> float:
            return sum(min(length, width) for length in lengths) / (STEP_COST[kind] + rows * width)

        return max(
            {min(length, most) for length in lengths}, key=lambda width: (pays(width), width)
        )

    def _feed(self, width: int) -> torch.Tensor:
        """Feed up to `width` tokens of each row; return logits [B, V] of the last one fed."""
        ids = torch.zeros(len(self.waiting), width, dtype=torch.long)
        new = torch.zeros(len(self.waiting), width, dtype=torch.long)
        for place, (member, left) in enumerate(self.waiting.items()):
            fed = left[:width]
            ids[place, width - len(fed) :] = torch.tensor(fed)
            new[place, width - len(fed) :] = 1
            self.waiting[member] = left[width:]
        new = new.to(self.device)
        positions = (self.mask.sum(1, keepdim=True) + new.cumsum(1) - 1).clamp(min=0)
        self.mask = torch.cat([self.mask, new], dim=1)
        output = self.model(
            input_ids=ids.to(self.device),
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _drop_done(self) -> None:
        going = [place for place, left in enumerate(self.waiting.values()) if left]
        if len(going) == len(self.waiting):
            return
        self.waiting = {member: left for member, left in self.waiting.items() if left}
        if going:
            kept = torch.tensor(going, device=self.device)
            self.mask = self.mask[kept]
            self.cache.batch_select_indices(kept)


class _GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values [B, H, S, D] of one layer, written into memory that is allocated ahead."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None
        self._rooms: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_: Any,  # noqa: ANN401 - what other layers need
        **__: Any,  # noqa: ANN401 - the same
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append new keys and values; return all."""
        seen = self.get_seq_length()
        end = seen + key_states.shape[-2]
        if self._rooms is None or end > self._rooms[0].shape[-2]:
            self._rooms = (
                _larger(self.keys, key_states, end + SPARE),
                _larger(self.values, value_states, end + SPARE),
            )
            self.is_initialized = True
        keys, values = self._rooms
        keys[:, :, seen:end] = key_states
        values[:, :, seen:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows only."""
        if self._rooms is not None:
            seen = self.get_seq_length()
            self._rooms = (self._rooms[0][indices], self._rooms[1][indices])
            self.keys, self.values = (room[:, :, :seen] for room in self._rooms)


class _GrowingCache(DynamicCache):  # type: ignore[misc]
    """A cache of such layers."""

    def __init__(self) -> None:
        """Start empty; layers come as the model asks for them."""
        Cache.__init__(self, layer_class_to_replicate=_GrowingLayer)


def _larger(old: torch.Tensor | None, new: torch.Tensor, length: int) -> torch.Tensor:
    """Return memory for `length` positions that begins with the old ones."""
    rows, heads, _, size = new.shape
    room = new.new_empty(rows, heads, length, size)
    if old is not None:
        room[:, :, : old.shape[-2]] = old
    return room


def _prefill(loaded: LoadedModel, tokens: list[int]) -> DynamicCache:
    cache = DynamicCache()
    most = TOKENS_PER_STEP[loaded.device.type]
    for start in range(0, len(tokens), most):
        ids = torch.tensor([tokens[start : start + most]], device=loaded.device)
        loaded.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _spread(shared: DynamicCache, rows: int) -> Cache:
    """Return a cache in which each of so many rows begins with the shared start."""
    cache = _GrowingCache()
    for number, layer in enumerate(shared.layers):
        keys, values = layer.keys, layer.values
        cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
    return cache


def _groups(
    loaded: LoadedModel, rows: Sequence[list[int]], *, room: int, lone: bool
) -> Iterator[list[int]]:
    """Yield places of rows of like length, the longest first, within the memory for their cache."""
    kind = loaded.device.type
    fitting = CACHE_BYTES[kind] // _token_bytes(loaded.model)
    order = sorted(range(len(rows)), key=lambda place: (-len(rows[place]), place))
    start = 0
    while start < len(order):
        longest = len(rows[order[start]]) + room
        count = 1 if lone else max(1, min(ROWS[kind], fitting // longest))
        yield order[start : start + count]
        start += count


def _token_bytes(model: Any) -> int:  # noqa: ANN401 - a transformers model
    """Return the bytes of the keys and values of one token."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    width: int = 2 * config.num_hidden_layers * kept * size * model.dtype.itemsize
    return width
