"""Log-likelihood of continuations of a context: what multiple-choice and cloze questions compare.

As lm-evaluation-harness does it: context and continuation are tokenised together, and what the context
alone does not have belongs to the continuation, as white space at the context's end does. What the
choices of one item share goes through the model once; many items share a pass
(`engine.runtime.scoring.packed_cache`). Models that cannot be packed read each choice with its context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

import torch

from engine.progress import Progress
from engine.runtime.models.load import LoadedModel, wants_single_rows
from engine.runtime.models.wide import in_64_bits
from engine.runtime.rendering.chat import Chat
from engine.runtime.rendering.segments import TokenRow
from engine.runtime.scoring.label_search import common_prefix
from engine.runtime.scoring.likelihood import LOGIT_BYTES, TOKENS_PER_PASS, likelihood
from engine.runtime.scoring.packed_cache import (
    PackedCache,
    Piece,
    UnsupportedModelError,
    attending,
    prefill,
)
from engine.values import Value

CLOSE = {torch.float32: 1e-2, torch.bfloat16: 0.5, torch.float16: 0.1}
"""Nats of the first choice that differ by more show that the model attends in another way."""

Item = tuple[str, Sequence[str]]
"""(context, choices)."""


class Continuation(Value):
    """What follows a context."""

    nll: float
    """Negative logarithm of its probability after the context."""
    tokens: int
    bytes: int
    """Of its text in UTF-8, for sums that long and short ones can be compared by."""


def continuations(
    loaded: LoadedModel, items: Sequence[Item], *, progress: Progress
) -> list[list[Continuation]]:
    """Return the log-likelihood of each choice of each context.

    Where nothing stands before, the model's own first token does. StageError X616 for a loss that is not finite.
    """
    rows = [
        [_row(loaded.chat, context, choice) for choice in choices] for context, choices in items
    ]
    sums = _sums(loaded, rows, progress=progress)
    return [
        [
            Continuation(nll=nll, tokens=sum(row.learned), bytes=len(choice.encode()))
            for choice, row, nll in zip(choices, own, nlls, strict=True)
        ]
        for (_, choices), own, nlls in zip(items, rows, sums, strict=True)
    ]


def _row(chat: Chat, context: str, choice: str) -> TokenRow:
    before, whole = context.rstrip(), context + choice
    if not before:
        # What texts of this model begin with: its own token for that, or the one that ends them.
        known = (chat.tokenizer.bos_token_id, chat.tokenizer.eos_token_id)
        first = next((int(token) for token in known if token is not None), 0)
        ids, start = [first, *chat.token_ids(whole)], 1
    else:
        ids = chat.token_ids(whole)
        # At least one token is scored, also where the tokenizer joins the whole choice to the context.
        start = max(1, min(len(chat.token_ids(before)), len(ids) - 1))
    return TokenRow(ids=tuple(ids), learned=tuple(index >= start for index in range(len(ids))))


@torch.inference_mode()
def _sums(
    loaded: LoadedModel, rows: Sequence[Sequence[TokenRow]], *, progress: Progress
) -> list[list[float]]:
    """Return the nats of each choice of each item."""
    longest = max((len(row.ids) for own in rows for row in own), default=0)
    if not wants_single_rows(loaded.model.config, longest):
        with suppress(UnsupportedModelError):
            return _packed(loaded, rows, progress=progress)
    results = iter(likelihood(loaded, [row for own in rows for row in own], progress=progress))
    return [[next(results).nll for _ in own] for own in rows]


def _packed(
    loaded: LoadedModel, rows: Sequence[Sequence[TokenRow]], *, progress: Progress
) -> list[list[float]]:
    items = [
        _Item(choices=own, shared=max(common_prefix([list(row.ids) for row in own]), 1))
        for own in rows
    ]
    batches = list(_batches(loaded, items))
    if not batches:
        return [[] for _ in rows]
    slots = max(sum(items[index].size for index in batch) for batch in batches)
    # Only the shapes of the states are used: items share no prefix.
    states, _ = prefill(loaded, [0])
    cache = PackedCache(states, prefix=0, slots=slots)
    sums: dict[int, list[float]] = {}
    for batch in batches:
        with attending(loaded, cache):
            nlls = _forward(loaded, cache, [items[index] for index in batch])
        # Outside of `attending`: the plain way needs the model's own attention.
        if not sums:
            _check(loaded, rows[batch[0]][0], nlls[0][0])
        sums.update(zip(batch, nlls, strict=True))
        progress.update(len(sums), len(rows), "items")
    return [sums[index] for index in range(len(rows))]


class _Item(Value):
    """The choices of a context, each a row with it."""

    choices: Sequence[TokenRow]
    shared: int
    """Tokens that all of them begin with."""

    @property
    def size(self) -> int:
        """Tokens that go through the model: a choice's last one is only predicted, never fed."""
        return self.shared + sum(max(len(row.ids) - self.shared - 1, 0) for row in self.choices)

    @property
    def scored(self) -> int:
        """Tokens that are scored."""
        return sum(sum(row.learned) for row in self.choices)


def _batches(loaded: LoadedModel, items: Sequence[_Item]) -> Iterator[list[int]]:
    """Yield places of items, the longest first, within the tokens and logits of a pass."""
    kind = loaded.device.type
    most = LOGIT_BYTES[kind] // (4 * loaded.vocabulary)
    batch: list[int] = []
    size = scored = 0
    for index in sorted(range(len(items)), key=lambda index: -items[index].size):
        item = items[index]
        if batch and (size + item.size > TOKENS_PER_PASS[kind] or scored + item.scored > most):
            yield batch
            batch, size, scored = [], 0, 0
        batch.append(index)
        size, scored = size + item.size, scored + item.scored
    if batch:
        yield batch


def _forward(loaded: LoadedModel, cache: PackedCache, items: Sequence[_Item]) -> list[list[float]]:
    """Return the nats of each choice of each item, laid one behind another in one pass."""
    pieces: list[Piece] = []
    # In the sequence: the token that decides the next one that counts, and that one.
    where, targets = list[int](), list[int]()
    end = 0

    def slots_of(tokens: Sequence[int], position: int, seen: Sequence[int]) -> list[int]:
        """Add a piece; its slots are its places in the sequence."""
        nonlocal end
        slots = [*range(end, end + len(tokens))]
        if tokens:
            pieces.append(
                Piece(tokens=tokens, position=position, slots=slots, seen=seen, scored=len(tokens))
            )
        end += len(tokens)
        return slots

    for item in items:
        shared = slots_of(item.choices[0].ids[: item.shared], 0, ())
        for row in item.choices:
            line = [*shared, *slots_of(row.ids[item.shared : -1], item.shared, shared)]
            start = row.learned.index(True)
            where += line[start - 1 : len(row.ids) - 1]
            targets += row.ids[start:]
    scored = sorted(set(where))
    logits = cache.forward(loaded, pieces, at=scored).float()
    places = {at: row for row, at in enumerate(scored)}
    at = torch.tensor([places[place] for place in where], device=loaded.device)
    wanted = torch.tensor(targets, device=loaded.device)
    nlls = iter(in_64_bits(logits.logsumexp(-1)[at] - logits[at, wanted]).tolist())
    return [[sum(islice(nlls, sum(row.learned))) for row in item.choices] for item in items]


def _check(loaded: LoadedModel, row: TokenRow, nll: float) -> None:
    """Hold the first choice, packed, to the same one read plainly."""
    (plain,) = likelihood(loaded, [row], progress=None)
    if not abs(plain.nll - nll) <= CLOSE[loaded.model.dtype] * max(1.0, plain.nll / 10):
        raise UnsupportedModelError
