"""Answers of a transformers model: constrained to given answers, or free. Greedy, batched, exact.

What all prompts share at the start (system message, instruction, shots) goes through the model
once; its keys and values are copied for each batch. Rows are padded on the left, after the shared
part, so that the logits needed are always those of the last position and no others are computed.
Padding is masked and positions count real tokens only, so a row's answer does not depend on its
batch but for rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import exp
from typing import Any

import torch
from transformers import DynamicCache

from engine.errors import StageError
from engine.runtime.constraint import Grammar
from engine.runtime.decoding import decode
from engine.runtime.models import LoadedModel, wants_single_rows
from engine.runtime.speech import BoundSpeech, FreeSpeech, Speech, best_tokens
from engine.runtime.trie import Choice, Walk, build_trie, common_prefix
from engine.sources.contract import Progress

__all__ = ["Choice", "Said", "choose", "generate"]

TOKENS_PER_BATCH = {"cpu": 2048, "mps": 8192, "cuda": 16384}
"""Padded new tokens in one forward pass."""
CACHE_SHARE = 16
"""The keys and values of a batch may hold this many times its new tokens."""


def choose(
    loaded: LoadedModel, prompts: Sequence[str], answers: Sequence[str], *, progress: Progress
) -> list[Choice]:
    """Return for each prompt the answer that greedy decoding gives when only `answers` may be said.

    `answers` end with the chat's terminator. StageError X611 when two answers cannot be told apart
    by their tokens.
    """
    try:
        root = build_trie([loaded.chat.token_ids(answer) for answer in answers])
    except ValueError as error:
        raise StageError.one(
            "X611",
            f"the answers cannot be told apart by their tokens: {error}",
            hint="rename one of the labels",
        ) from error
    forced = Walk(root).pending
    rows = [[*loaded.chat.token_ids(prompt), *forced] for prompt in prompts]
    choices: list[Choice | None] = [None] * len(rows)
    if (only := Walk(root).choice) is not None:
        return [only] * len(rows)
    for batch in _batches(loaded, rows, extra=0, progress=progress):
        walks = [Walk(root) for _ in batch.members]
        batch.run(partial(_choose_step, walks))
        for member, walk in zip(batch.members, walks, strict=True):
            choices[member] = walk.choice
    return [choice for choice in choices if choice is not None]


def _choose_step(walks: Sequence[Walk], logits: torch.Tensor, slot: int) -> list[int]:
    """Take the next branch; return the tokens to feed, none at its end. `logits`: [V]."""
    walk = walks[slot]
    walk.take(logits[walk.allowed].float().tolist())
    return [] if walk.choice is not None else walk.pending


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a model said to one prompt."""

    text: str
    """Without what ends the turn."""
    probability: float
    """Of the text and its ending: by each token's share among those that might have come."""
    finished: bool
    """It ended its turn by itself, and was not cut off."""


def generate(
    loaded: LoadedModel,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    progress: Progress,
    constraint: Grammar | None = None,
) -> list[Said]:
    """Return for each prompt the greedy text, at most `max_new_tokens` long, without its ending.

    With a `constraint` nothing is said that does not fit it, and tokens that it forces are not asked
    for. Without, the probability is among all tokens.
    """
    spoken: list[Speech] = [
        FreeSpeech(loaded.chat) if constraint is None else BoundSpeech(constraint, loaded.chat)
        for _ in prompts
    ]
    pairs = zip(prompts, spoken, strict=True)
    begun = [[*loaded.chat.token_ids(prompt), *speech.opening()] for prompt, speech in pairs]
    open_rows = [place for place, speech in enumerate(spoken) if not speech.finished]

    def step(logits: torch.Tensor, members: Sequence[int]) -> list[list[int]]:
        speaking = [spoken[open_rows[member]] for member in members]
        tokens, shares = best_tokens(logits, speaking, constraint)
        return [
            speech.say(token, share, most=max_new_tokens)
            for speech, token, share in zip(speaking, tokens, shares, strict=True)
        ]

    rows = [begun[place] for place in open_rows]
    decode(loaded, rows, room=max_new_tokens + 1, step=step, progress=progress)
    return [
        Said(text=speech.text(), probability=exp(-speech.nats), finished=speech.finished)
        for speech in spoken
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Rows that go through the model together."""

    model: Any
    device: torch.device
    members: list[int]
    """Their places in the whole list."""
    rows: list[list[int]]
    """Their tokens after the shared prefix."""
    prefix: int
    cache: DynamicCache
    """Keys and values of the shared prefix, for one row; not changed."""

    @torch.inference_mode()
    def run(self, step: Callable[[torch.Tensor, int], list[int]]) -> None:
        """Feed the rows, then what `step(logits [V], slot)` returns, until it returns nothing."""
        cache = copy.deepcopy(self.cache)
        if len(self.rows) > 1 and self.prefix:
            cache.batch_repeat_interleave(len(self.rows))
        slots = list(range(len(self.rows)))
        mask = torch.ones(len(slots), self.prefix, dtype=torch.long, device=self.device)
        feed = self.rows
        while slots:
            logits, mask = self._forward(feed, cache, mask)
            feed = [step(logits[place], slot) for place, slot in enumerate(slots)]
            going = [place for place, tokens in enumerate(feed) if tokens]
            if len(going) < len(slots):
                kept = torch.tensor(going, dtype=torch.long, device=self.device)
                if going:
                    cache.batch_select_indices(kept)
                mask = mask[kept]
                slots, feed = [slots[place] for place in going], [feed[place] for place in going]

    def _forward(
        self, rows: Sequence[Sequence[int]], cache: DynamicCache, seen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits [B, V] of each row's last token, and the mask [B, S] over the cache."""
        width = max(len(row) for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        new = torch.zeros(len(rows), width, dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, width - len(row) :] = torch.tensor(row)
            new[place, width - len(row) :] = 1
        new = new.to(self.device)
        positions = (seen.sum(1, keepdim=True) + new.cumsum(1) - 1).clamp(min=0)
        mask = torch.cat([seen, new], dim=1)
        output = self.model(
            input_ids=ids.to(self.device),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1], mask


def _batches(
    loaded: LoadedModel, rows: Sequence[list[int]], *, extra: int, progress: Progress
) -> Iterator[_Batch]:
    """Yield the rows in batches, longest first; tell progress after each.

    `extra`: how many tokens may follow a row.
    """
    lone = wants_single_rows(loaded.model.config, max(map(len, rows), default=0) + extra)
    prefix = 0 if lone else common_prefix(rows)
    cache = _prefill(loaded, rows[0][:prefix] if rows else [])
    done = 0
    for members in _group(rows, prefix=prefix, device=loaded.device.type, lone=lone):
        yield _Batch(
            model=loaded.model,
            device=loaded.device,
            members=members,
            rows=[rows[member][prefix:] for member in members],
            prefix=prefix,
            cache=cache,
        )
        done += len(members)
        progress.update(done, len(rows), "rows")


@torch.inference_mode()
def _prefill(loaded: LoadedModel, tokens: list[int]) -> DynamicCache:
    cache = DynamicCache()
    if tokens:
        ids = torch.tensor([tokens], device=loaded.device)
        loaded.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _group(
    rows: Sequence[list[int]], *, prefix: int, device: str, lone: bool
) -> Iterator[list[int]]:
    """Yield indexes of rows of like length, within the token budget.

    Without a shared prefix only equal lengths meet: a padding token that may look at nothing has
    no defined attention.
    """
    budget = TOKENS_PER_BATCH[device]
    order = sorted(range(len(rows)), key=lambda index: (-len(rows[index]), index))
    group: list[int] = []
    for index in order:
        longest = len(rows[group[0]]) if group else len(rows[index])
        count = len(group) + 1
        full = count * (longest - prefix) > budget or count * longest > CACHE_SHARE * budget
        unequal = prefix == 0 and len(rows[index]) != longest
        if group and (full or unequal or lone):
            yield group
            group = []
        group.append(index)
    if group:
        yield group
