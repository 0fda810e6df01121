"""Log-likelihood of continuations of a context: what multiple-choice and cloze questions compare.

As lm-evaluation-harness does it: context and continuation are tokenised together, and what the context
alone does not have belongs to the continuation, as white space at the context's end does. What the
choices of one item share goes through the model once; many items share a pass
(`engine.runtime.scoring.packed_cache`). Models that cannot be packed read each choice with its context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch

from engine.progress import Progress
from engine.render.progress import SilentProgress
from engine.runtime.models.load import LoadedModel, wants_single_rows
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

CLOSE = {torch.float32: 1e-2, torch.bfloat16: 0.5, torch.float16: 0.1}
"""Nats of the first choice that differ by more show that the model attends in another way."""

Item = tuple[str, Sequence[str]]
"""(context, choices)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
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
        ids, start = [_first_token(chat), *chat.token_ids(whole)], 1
    else:
        ids = chat.token_ids(whole)
        # At least one token is scored, also where the tokenizer joins the whole choice to the context.
        start = max(1, min(len(chat.token_ids(before)), len(ids) - 1))
    return TokenRow(ids=tuple(ids), learned=tuple(index >= start for index in range(len(ids))))


def _first_token(chat: Chat) -> int:
    """Return the token that texts of this model begin with: its own, or the one that ends them."""
    known = (chat.tokenizer.bos_token_id, chat.tokenizer.eos_token_id)
    return next((int(token) for token in known if token is not None), 0)


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
    trees = [_Tree.of(own) for own in rows]
    sums: list[list[float]] = [[] for _ in rows]
    batches = list(_batches(loaded, trees))
    if not batches:
        return sums
    slots = max(sum(trees[index].size for index in batch) for batch in batches)
    # Only the shapes of the states are used: items share no prefix.
    states, _ = prefill(loaded, [0])
    cache = PackedCache(states, prefix=0, slots=slots)
    done = 0
    for batch in batches:
        with attending(loaded, cache):
            nlls = _forward(loaded, cache, [trees[index] for index in batch])
        # Outside of `attending`: the plain way needs the model's own attention.
        if not done:
            _check(loaded, rows[batch[0]][0], nlls[0][0])
        for index, nll in zip(batch, nlls, strict=True):
            sums[index] = nll
        done += len(batch)
        progress.update(done, len(rows), "items")
    return sums


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """An item: what its choices share at the start, and what each has of its own."""

    shared: tuple[int, ...]
    own: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]
    """Of each choice: the place of its first token that counts."""

    @classmethod
    def of(cls, rows: Sequence[TokenRow]) -> _Tree:
        """Return the tree of an item's rows."""
        count = common_prefix([list(row.ids) for row in rows])
        return cls(
            shared=rows[0].ids[: max(count, 1)],
            own=tuple(row.ids[max(count, 1) :] for row in rows),
            starts=tuple(row.learned.index(True) for row in rows),
        )

    @property
    def size(self) -> int:
        """Tokens that go through the model."""
        return len(self.shared) + sum(max(len(own) - 1, 0) for own in self.own)

    @property
    def scored(self) -> int:
        """Tokens that are scored, at most."""
        return sum(
            len(self.shared) + len(own) - start
            for own, start in zip(self.own, self.starts, strict=True)
        )


def _batches(loaded: LoadedModel, trees: Sequence[_Tree]) -> Iterator[list[int]]:
    """Yield places of items, the longest first, within the tokens and logits of a pass."""
    kind = loaded.device.type
    most = LOGIT_BYTES[kind] // (4 * loaded.model.get_output_embeddings().weight.shape[0])
    batch: list[int] = []
    size = scored = 0
    for index in sorted(range(len(trees)), key=lambda index: (-trees[index].size, index)):
        tree = trees[index]
        if batch and (size + tree.size > TOKENS_PER_PASS[kind] or scored + tree.scored > most):
            yield batch
            batch, size, scored = [], 0, 0
        batch.append(index)
        size, scored = size + tree.size, scored + tree.scored
    if batch:
        yield batch


def _forward(loaded: LoadedModel, cache: PackedCache, trees: Sequence[_Tree]) -> list[list[float]]:
    """Return the nats of each choice of each item, in one pass."""
    pass_ = _Pass()
    for tree in trees:
        pass_.add(tree)
    scored = sorted(set(pass_.where))
    logits = cache.forward(loaded, pass_.pieces, at=scored).float()
    places = {at: row for row, at in enumerate(scored)}
    at = torch.tensor([places[where] for where in pass_.where], device=loaded.device)
    targets = torch.tensor(pass_.targets, device=loaded.device)
    nll = (logits.logsumexp(-1)[at] - logits[at, targets]).double().tolist()
    parts = iter(nll)
    return [[sum(next(parts) for _ in range(count)) for count in tree] for tree in pass_.counts]


class _Pass:
    """Items laid one behind another, and where each of their tokens is decided."""

    def __init__(self) -> None:
        """Start empty."""
        self.pieces: list[Piece] = []
        self.tokens: list[int] = []
        self.where: list[int] = []
        """In the sequence: the token that decides the next one that counts."""
        self.targets: list[int] = []
        self.counts: list[list[int]] = []
        """Tokens that count, by item and choice."""

    def add(self, tree: _Tree) -> None:
        """Lay out an item: what is shared, and each choice behind it."""
        shared = self._piece(tree.shared, 0, ())
        counts = []
        for own, start in zip(tree.own, tree.starts, strict=True):
            before = len(tree.shared)
            # A choice's last token is only predicted, never fed.
            mine = self._piece(own[:-1], before, shared) if len(own) > 1 else ()
            line = [*shared, *mine]
            ids = [*tree.shared, *own]
            self.where += line[start - 1 : len(ids) - 1]
            self.targets += ids[start:]
            counts.append(len(ids) - start)
        self.counts.append(counts)

    def _piece(self, tokens: Sequence[int], position: int, seen: Sequence[int]) -> tuple[int, ...]:
        """Add a piece; its slots are its places in the sequence."""
        slots = tuple(range(len(self.tokens), len(self.tokens) + len(tokens)))
        self.pieces.append(
            Piece(tokens=tokens, position=position, slots=slots, seen=seen, scored=len(tokens))
        )
        self.tokens += tokens
        return slots


def _check(loaded: LoadedModel, row: TokenRow, nll: float) -> None:
    """Hold the first choice, packed, to the same one read plainly."""
    (plain,) = likelihood(loaded, [row], progress=SilentProgress())
    if not abs(plain.nll - nll) <= CLOSE[loaded.model.dtype] * max(1.0, plain.nll / 10):
        raise UnsupportedModelError
