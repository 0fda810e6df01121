"""Rows of unequal length in one forward pass, unpadded, behind one copy of what they share.

A transformers model is run on one long sequence: pieces of many rows, one behind another. Its
attention function is replaced for the time being: a token sees the shared prefix, the earlier
tokens of its own row, and what stands before it in its own piece. The prefix is attended without a
mask by all of them, the rest by row, and the two are joined by their log-sum-exp, so no score is
computed that a mask would throw away (but for a little padding between rows of like length).

Keys and values are written in place into slots; whose slot is whose is the caller's to know. Passes over pieces that
do not see each other may run in several threads at once.
"""

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, starmap
from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.modeling_utils import AttentionInterface

from engine.runtime.models.load import LoadedModel, attention_of, causal_model
from engine.values import Value

NAME = "recipe_packed"
"""Name of the attention function while it is registered."""
SPREAD = 1.25
"""Pieces attend together whose new tokens differ by no more than this factor."""
UNKNOWN = ("softcap", "s_aux", "position_bias")
"""Arguments that some models pass to attention, and that this one does not support."""


SHARE_OF_GPU = 8
"""Keys and values take at most the whole memory of a GPU divided by this."""
SCORE_BYTES = 256 << 20
"""Scores that are computed at a time where no kernel computes them: of a long prompt they would take gigabytes."""


FAR = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.02}
"""Relative difference of logits from which on a model attends in another way.

In bfloat16, rounding moves the logits of a model of 30 layers by 0.02 to 0.06 and single log-probabilities by
0.3; another scale of attention by a tenth moves them by 0.1 and more, a window of three quarters of the row by 0.8.
"""


class UnsupportedModelError(Exception):
    """The model's attention cannot be computed this way."""


def refuse_other_logits(
    packed: torch.Tensor,
    plain: torch.Tensor,
    dtype: torch.dtype,
    others: Iterable[tuple[torch.Tensor, torch.Tensor]] = (),
) -> None:
    """UnsupportedModelError where logits of packed rows, [V], are not those of the rows alone, but for rounding.

    Where those of the first row lie far apart, the middle one of it and the first two `others` decides: rounding moves
    single rows of a model that is very sure of itself by more than most.
    """
    if _apart(packed, plain) <= FAR[dtype]:
        return
    apart = sorted(starmap(_apart, [(packed, plain), *islice(others, 2)]))
    # Written this way round, so that NaN fails too.
    if not apart[len(apart) // 2] <= FAR[dtype]:
        raise UnsupportedModelError


def _apart(packed: torch.Tensor, plain: torch.Tensor) -> float:
    """Return the distance of logits as a share of their spread; infinite for NaN."""
    packed, plain = packed.float(), plain.float()
    found = ((packed - plain).norm() / (plain - plain.mean()).norm()).item()
    return math.inf if math.isnan(found) else found


class Piece(Value):
    """Tokens of one row that go through the model together."""

    tokens: Sequence[int]
    position: int
    """Position of the first of them, counted from the start of the row with the prefix."""
    slots: Sequence[int]
    """Slots that their keys and values are written to."""
    seen: Sequence[int]
    """Slots of the earlier tokens of the row, without the prefix."""
    scored: int
    """Number of tokens, from the last backwards, that need log-probabilities."""


class _Group(Value):
    """Pieces of like length: B of them, n tokens each at most, c visible ones at most."""

    queries: torch.Tensor
    """[B * n], into the sequence; padding repeats a piece's first token."""
    context: torch.Tensor
    """[B * c] slots."""
    mask: torch.Tensor
    """[B, 1, n, c], added to the scores."""
    valid: torch.Tensor
    """Which of `queries` are not padding."""
    tokens: torch.Tensor
    """`queries[valid]`."""


class _Pass(threading.local):
    """The forward pass that a thread is in."""

    slots = torch.empty(0)
    groups: Sequence[_Group] = ()
    layer = 0


class PackedCache(Cache):  # type: ignore[misc] # transformers has no types here
    """Keys and values of a prefix and of slots, and the attention over them."""

    def __init__(
        self,
        loaded: LoadedModel,
        longest: Sequence[int],
        *,
        prefix: int,
        needs: Sequence[int],
        most: int,
        beside: int = 0,
    ) -> None:
        """Run the longest row the plain way, and take the memory of slots.

        Of so many slots as rows need (`needs`), as far as `most` bytes go, for one row at least; and of `beside` more.
        """
        super().__init__(layers=[])
        cache: Any = DynamicCache()
        _, (plain,) = feed(loaded, cache, longest)
        self._plain: torch.Tensor | None = plain
        states = [(layer.keys, layer.values) for layer in cache.layers]
        each = sum(state[..., :1, :].nbytes for layer in states for state in layer)
        most = room_for_states(loaded.device, most)
        # Room for more than all rows at once would only be cleared: on small models that takes longer than scoring.
        self.room = max(min(most // max(each, 1), sum(needs)), *needs)
        slots = self.room + beside
        self.free = list(range(slots))
        """Slots that are no row's; the callers take them and give them back."""
        # copies: a slice would keep the states of the whole row alive
        self._prefix = [
            (keys[:, :, :prefix].clone(), values[:, :, :prefix].clone()) for keys, values in states
        ]
        self._length = prefix
        # Room for keys and values: [slots, heads, size].
        self._keys, self._values = (
            [like.new_zeros(slots, like.shape[1], like.shape[3]) for like in layers]
            for layers in zip(*states, strict=True)
        )
        self.own_attention = ""
        """The model's own attention, while it attends through this."""
        self._now = _Pass()

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the length of the prefix; positions are given anyway."""
        return self._length

    def update(  # noqa: PLR0913, RUF100 - as in transformers
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new keys and values, [1, heads, N, size], into their slots."""
        # `attend` is called right after this for the same layer.
        self._now.layer = layer_idx
        self._keys[layer_idx][self._now.slots] = key_states[0].transpose(0, 1)
        self._values[layer_idx][self._now.slots] = value_states[0].transpose(0, 1)
        return key_states, value_states

    def forward(self, loaded: LoadedModel, pieces: Sequence[Piece]) -> torch.Tensor:
        """Run the pieces in one pass; return the logits [n, V] of their scored tokens."""
        device = loaded.device
        slots = [slot for piece in pieces for slot in piece.slots]
        self._now.slots = torch.tensor(slots, device=device)
        dtype = self._keys[0].dtype
        self._now.groups = [_group(pieces, group, dtype, device) for group in _alike(pieces)]
        tokens: list[int] = []
        positions: list[int] = []
        scored: list[int] = []
        for piece in pieces:
            tokens += piece.tokens
            # rotary positions are those of the piece's own row, not of the packed sequence
            positions += range(piece.position, piece.position + len(piece.tokens))
            scored += range(len(tokens) - piece.scored, len(tokens))
        output = loaded.model(
            input_ids=torch.tensor([tokens], device=device),
            position_ids=torch.tensor([positions], device=device),
            past_key_values=self,
            use_cache=True,
            # transformers takes places here, too: the head, a matrix as wide as the vocabulary, is applied to these
            # tokens only.
            logits_to_keep=torch.tensor(scored, device=device),
        )
        logits: torch.Tensor = output.logits[0]
        return logits

    def compare(
        self,
        loaded: LoadedModel,
        packed: torch.Tensor,
        others: Iterable[tuple[torch.Tensor, Sequence[int]]],
    ) -> None:
        """Compare the first pass with the longest row alone and with `others`, which come with their rows.

        UnsupportedModelError as `refuse_other_logits`.
        """
        if self._plain is not None:
            alone = ((one, self._alone(loaded, row)) for one, row in others)
            refuse_other_logits(packed, self._plain, loaded.model.dtype, alone)
            self._plain = None

    @property
    def is_compared(self) -> bool:
        return self._plain is None

    def _alone(self, loaded: LoadedModel, row: Sequence[int]) -> torch.Tensor:
        """Return the last logits, [V], of a row alone, while the model attends through this."""
        model = causal_model(loaded.model)
        model.set_attn_implementation(self.own_attention)
        try:
            _, logits = feed(loaded, DynamicCache(), row)
        finally:
            model.set_attn_implementation(NAME)
        return logits[0]

    def attend(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        """Return the attention's output, [1, N, heads, size]; `query`: [1, heads, N, size]."""
        if any(kwargs.get(name) is not None for name in UNKNOWN):
            raise UnsupportedModelError
        shared = key.shape[1]
        # [shared, per, N, size].
        queries = query[0].reshape(shared, -1, *query.shape[2:])
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        out, total = self._own(queries, value.shape[-1], scale)
        if self._length:
            # The prefix: [N, shared, per, size], and log-sum-exp [N, shared, per].
            per, count, size = queries.shape[1:]
            joined = queries.reshape(1, shared, per * count, size)
            found, totals = _attention(joined, *self._prefix[self._now.layer], None, scale)
            before = found.view(shared, per, count, -1).permute(2, 0, 1, 3)
            before_total = totals.view(shared, per, count).permute(2, 0, 1)
            # softmax over both parts: each part's output weighs by its share of the summed exponentials
            weight = torch.sigmoid(before_total - total).unsqueeze(-1)
            out = torch.lerp(out, before, weight.to(out.dtype))
        return out.flatten(1, 2).unsqueeze(0), None

    def _own(
        self, queries: torch.Tensor, size: int, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attend to the row's own tokens; return [N, shared, per, size] and log-sum-exp [N, shared, per]."""
        shared, per, count, _ = queries.shape
        out = queries.new_empty(count, shared, per, size)
        total = queries.new_empty(count, shared, per, dtype=torch.float32)
        keys, values = self._keys[self._now.layer], self._values[self._now.layer]
        for group in self._now.groups:
            rows, _, new, seen = group.mask.shape
            picked = (
                queries[:, :, group.queries].view(shared, per, rows, new, -1).permute(2, 0, 1, 3, 4)
            )
            part, part_total = _attention(
                picked.reshape(rows, shared, per * new, -1),
                keys[group.context].view(rows, seen, shared, -1).transpose(1, 2),
                values[group.context].view(rows, seen, shared, -1).transpose(1, 2),
                group.mask.repeat(1, 1, per, 1),
                scale,
            )
            part = part.view(rows, shared, per, new, size).permute(0, 3, 1, 2, 4)
            out[group.tokens] = part.flatten(0, 1)[group.valid]
            part_total = part_total.view(rows, shared, per, new).permute(0, 3, 1, 2)
            total[group.tokens] = part_total.flatten(0, 1)[group.valid]
        return out, total


def feed(loaded: LoadedModel, state: Any, tokens: Sequence[int]) -> tuple[Any, torch.Tensor]:
    """Run tokens of one row behind `state` the plain way; return the new state and the last logits, [1, V]."""
    ids = torch.tensor([tokens], device=loaded.device)
    output = loaded.model(input_ids=ids, past_key_values=state, use_cache=True, logits_to_keep=1)
    return output.past_key_values, output.logits[0]


def room_for_states(device: torch.device, most: int) -> int:
    """Return the bytes that keys and values of rows in flight may take: `most`, or what a GPU can spare."""
    if device.type != "cuda":
        return most
    # Of all of its memory, not of what is free now: how rows are batched must not depend on that.
    return min(most, torch.cuda.get_device_properties(device).total_memory // SHARE_OF_GPU)


@contextmanager
def attending(loaded: LoadedModel, cache: PackedCache) -> Iterator[None]:
    """Let the model attend through `cache` for the time being; UnsupportedModelError if it cannot."""
    model = causal_model(loaded.model)
    if not model._can_set_attn_implementation():  # noqa: SLF001 - there is no public question
        raise UnsupportedModelError
    before = cache.own_attention = attention_of(model)
    AttentionInterface.register(NAME, cache.attend)
    try:
        model.set_attn_implementation(NAME)
        yield
    finally:
        model.set_attn_implementation(before)
        AttentionInterface._global_mapping.pop(NAME)  # noqa: SLF001 - what is registered stays otherwise


def _alike(pieces: Sequence[Piece]) -> Iterator[list[int]]:
    group: list[int] = []
    order = sorted(range(len(pieces)), key=lambda at: (-len(pieces[at].tokens), at))
    for at in order:
        if group and len(pieces[group[0]].tokens) > SPREAD * len(pieces[at].tokens):
            yield group
            group = []
        group.append(at)
    if group:
        yield group


def _group(
    pieces: Sequence[Piece], members: Sequence[int], dtype: torch.dtype, device: torch.device
) -> _Group:
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece.tokens))
    new = max(len(pieces[at].tokens) for at in members)
    seen = max(len(pieces[at].seen) + len(pieces[at].tokens) for at in members)
    queries: list[int] = []
    context: list[int] = []
    valid: list[int] = []
    mask = torch.full((len(members), 1, new, seen), -math.inf, dtype=dtype)
    for index, at in enumerate(members):
        piece, count = pieces[at], len(pieces[at].tokens)
        valid += range(index * new, index * new + count)
        queries += [*range(starts[at], starts[at] + count), *[starts[at]] * (new - count)]
        visible = [*piece.seen, *piece.slots]
        context += [*visible, *[visible[0]] * (seen - len(visible))]
        # padding queries see something too: a row masked whole would give NaN
        mask[index, 0, :, : len(piece.seen) + 1] = 0.0
        own = torch.ones(count, count).tril().log().to(dtype)
        mask[index, 0, :count, len(piece.seen) : len(visible)] = own
    where = torch.tensor(queries)
    which = torch.tensor(valid)
    return _Group(
        queries=where.to(device),
        context=torch.tensor(context, device=device),
        mask=mask.to(device),
        valid=which.to(device),
        tokens=where[which].to(device),
    )


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [B, heads, n, size] and the log-sum-exp of the scores, [B, heads, n]."""
    # The public function does not return the log-sum-exp, by which the two parts are joined.
    if query.device.type == "cpu" and key.shape[-1] == value.shape[-1]:
        out, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(  # noqa: SLF001 - with log-sum-exp
            query, key, value, attn_mask=mask, scale=scale
        )
        return out, total
    each = 4 * query[:, :, :1, :1].numel() * key.shape[2]
    count = max(1, SCORE_BYTES // each)
    if query.shape[2] > count:
        parts = [
            _attention(
                query[:, :, part], key, value, None if mask is None else mask[:, :, part], scale
            )
            for part in (slice(at, at + count) for at in range(0, query.shape[2], count))
        ]
        outs, totals = zip(*parts, strict=True)
        return torch.cat(outs, dim=2), torch.cat(totals, dim=2)
    # In float32: sums of exponentials over a long context lose digits in 16 bit, and the two parts are joined by them.
    scores = torch.matmul(query, key.transpose(2, 3)).float() * scale
    if mask is not None:
        scores = scores + mask
    total = torch.logsumexp(scores, -1)
    shares = scores.sub_(total.unsqueeze(-1)).exp_()
    return torch.matmul(shares.to(value.dtype), value), total
