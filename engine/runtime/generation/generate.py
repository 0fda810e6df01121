"""Greedy text of a transformers model, free or constrained by a grammar, and what is sampled; many rows together.

What all rows share at the start goes through the model once. Each pass takes what waits to be fed, of
every row as many tokens as there are: a prompt, the token that was generated last, or several that a grammar
forces; nothing is padded (`engine.runtime.scoring.packed_cache`), and logits are computed for the last token of
each row only. A row that is done makes room for the next one, so a long answer keeps nobody waiting.
The longest row is computed the plain way as well; models whose attention is of a kind not known here, and
those with recurrent layers or windows shorter than a row, go one row at a time.
The most probable of given answers is not decoded but searched for: `engine.runtime.scoring.label_scoring`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from engine.progress import Progress
from engine.runtime.generation.grammar import WORD, Grammar
from engine.runtime.generation.sequence import AnswerDecoding, GeneratedText, answer_tokens
from engine.runtime.models.load import (
    LoadedModel,
    in_64_bits,
    not_a_number,
    wants_single_rows,
)
from engine.runtime.scoring.label_search import common_prefix
from engine.runtime.scoring.packed_cache import (
    PackedCache,
    Piece,
    UnsupportedModelError,
    attending,
    feed,
)

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat


PASS_TOKENS = {"cpu": 512, "mps": 4096, "cuda": 16384}
"""Tokens of one forward pass, unless the rows in flight have more."""
ROWS = {"cpu": 64, "mps": 64, "cuda": 512}
STORE_BYTES = {"cpu": 192 << 20, "mps": 1 << 30, "cuda": 8 << 30}
"""Keys and values of the rows in flight, unless one row has more."""
Step = Callable[[torch.Tensor, Sequence[int]], list[list[int]]]
"""`step(logits [n, V], n members)` returns the tokens to feed next to each, none where it is done."""


@torch.inference_mode()
def decode(
    loaded: LoadedModel, rows: Sequence[list[int]], *, most: int, step: Step, progress: Progress
) -> None:
    """Feed every row, then what `step` returns for it, until it returns nothing; at most `most` tokens.

    `step` knows rows by their place in `rows`. What a row says does not depend on the rows beside it but
    for rounding.
    """
    if not rows:
        return
    longest = max(map(len, rows)) + most
    if not wants_single_rows(loaded.model.config, longest):
        # raised by the first pass, before `step` has seen any logits, so no row is decoded twice
        with suppress(UnsupportedModelError):
            _Packed(loaded, rows, most).run(step, progress)
            return
    for member, row in enumerate(rows):
        state: Any = None
        waiting = list(row)
        while waiting:
            state, logits = feed(loaded, state, waiting)
            (waiting,) = step(logits, [member])
        progress.update(member + 1, len(rows), "rows")


@dataclass(slots=True, kw_only=True)
class _InFlight:
    """A row in flight."""

    member: int
    waiting: list[int]
    slots: list[int] = field(default_factory=list)
    """Slots of the keys and values of tokens already fed, without the shared prefix."""


class _Packed:
    """All rows, many of them in flight at a time."""

    def __init__(self, loaded: LoadedModel, rows: Sequence[list[int]], most: int) -> None:
        self._loaded, self._rows, self._most = loaded, rows, most
        self._prefix = common_prefix(rows)
        self._order = deque(sorted(range(len(rows)), key=lambda index: -len(rows[index])))
        self._cache = PackedCache(
            loaded,
            rows[self._order[0]],
            prefix=self._prefix,
            needs=[*map(self._needs, range(len(rows)))],
            most=STORE_BYTES[loaded.device.type],
        )
        self._slots, self._free = self._cache.room, self._cache.free

    def run(self, step: Step, progress: Progress) -> None:
        """Run every row to its end."""
        active: list[_InFlight] = []
        done = 0
        with attending(self._loaded, self._cache):
            while active or self._order:
                self._admit(active)
                pieces: list[Piece] = []
                for entry in active:
                    slots = [self._free.pop() for _ in entry.waiting]
                    start = self._prefix + len(entry.slots)
                    # A copy: the entry's own list grows below, and the piece must not see its new tokens twice.
                    seen = list(entry.slots)
                    pieces.append(
                        Piece(
                            tokens=entry.waiting, position=start, slots=slots, seen=seen, scored=1
                        )
                    )
                    entry.slots += slots
                logits = self._cache.forward(self._loaded, pieces)
                others = zip(
                    logits[1:], (self._rows[one.member] for one in active[1:]), strict=True
                )
                self._cache.compare(self._loaded, logits[0], others)
                following = step(logits, [entry.member for entry in active])
                for entry, tokens in zip(active, following, strict=True):
                    entry.waiting = tokens
                    if not tokens:
                        self._free += entry.slots
                remaining = [entry for entry in active if entry.waiting]
                if len(remaining) < len(active):
                    done += len(active) - len(remaining)
                    progress.update(done, len(self._rows), "rows")
                active = remaining

    def _needs(self, member: int) -> int:
        return len(self._rows[member]) - self._prefix + self._most

    def _admit(self, active: list[_InFlight]) -> None:
        kind = self._loaded.device.type
        tokens = sum(len(entry.waiting) for entry in active)
        reserved = sum(self._needs(entry.member) for entry in active)
        while self._order and len(active) < ROWS[kind]:
            member = self._order[0]
            own = self._rows[member][self._prefix :]
            # Reserved up to a row's longest answer, so that no row in flight runs out of slots.
            needed = reserved + self._needs(member)
            is_full = tokens + len(own) > PASS_TOKENS[kind] or needed > self._slots
            # The first row joins whatever its size: one above the budget goes through alone.
            if active and is_full:
                return
            self._order.popleft()
            active.append(_InFlight(member=member, waiting=own))
            tokens, reserved = tokens + len(own), needed


@dataclass(slots=True, kw_only=True)
class SampledText:
    """One text."""

    draw: random.Random
    tokens: list[int] = field(default_factory=list)
    """Without what it began after, and without what ends it."""
    ended: bool = False


def sample_texts(
    loaded: LoadedModel, seeds: Sequence[str], *, most: int, progress: Progress
) -> list[SampledText]:
    """Return a text of at most `most` tokens for each seed, begun after the token that starts or ends texts.

    Each text has random numbers of its own, so that it is the same whatever is sampled beside it, but for rounding.
    StageError X612 when the model's numbers are not finite.
    """
    tokenizer = loaded.chat.tokenizer
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if first is None:
        first = loaded.chat.token_ids(loaded.chat.terminator)[0]
    stops = loaded.chat.stop_ids()
    samples = [SampledText(draw=random.Random(seed)) for seed in seeds]  # noqa: S311 - nothing is kept secret by them

    def step(logits: torch.Tensor, members: Sequence[int]) -> list[list[int]]:
        """Take of each row, `logits` [n, V], the first token whose summed probability exceeds a number from 0 to 1."""
        if not bool(logits.isfinite().all()):
            raise not_a_number("X612", "the probabilities of a sampled text are not numbers")
        taken, following = [samples[member] for member in members], list[list[int]]()
        sums = in_64_bits(logits).softmax(-1).cumsum(-1)
        # Relative to the last sum, which rounding leaves beside 1.
        wanted = torch.tensor([one.draw.random() for one in taken], dtype=torch.float64)
        bounds = wanted.to(sums.device)[:, None] * sums[:, -1:]
        found = torch.searchsorted(sums, bounds, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
        for sample, token in zip(taken, found.tolist(), strict=True):
            sample.ended = token in stops
            sample.tokens += [] if sample.ended else [token]
            is_done = sample.ended or len(sample.tokens) >= most
            following.append([] if is_done else [token])
        return following

    decode(loaded, [[first] for _ in seeds], most=most + 1, step=step, progress=progress)
    return samples


def generate(
    loaded: LoadedModel,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    progress: Progress,
    constraint: Grammar | None = None,
) -> list[GeneratedText]:
    """Return for each prompt the greedy text, at most `max_new_tokens` long, without its ending.

    With a `constraint` only what fits it is generated, and tokens that it forces cost no forward pass.
    Without one, the probability is among all tokens.
    """
    answer = answer_tokens(loaded.chat)
    decodings = [
        AnswerDecoding(answer, constraint.matcher() if constraint is not None else None)
        for _ in prompts
    ]
    pairs = zip(prompts, decodings, strict=True)
    prompt_ids = [[*loaded.chat.token_ids(prompt), *decoding.tokens] for prompt, decoding in pairs]
    open_rows = [index for index, decoding in enumerate(decodings) if not decoding.finished]

    def step(logits: torch.Tensor, members: Sequence[int]) -> list[list[int]]:
        active = [decodings[open_rows[member]] for member in members]
        tokens, shares = best_tokens(logits, active, constraint)
        return [
            decoding.step(token, share, most=max_new_tokens)
            for decoding, token, share in zip(active, tokens, shares, strict=True)
        ]

    rows = [prompt_ids[index] for index in open_rows]
    decode(loaded, rows, most=max_new_tokens + 1, step=step, progress=progress)
    return [decoding.result() for decoding in decodings]


def text_of(chat: Chat, tokens: Sequence[int]) -> str | None:
    """Return the text of decoded tokens, as `generate` returns it; None where they do not end the turn."""
    decoding = AnswerDecoding(answer_tokens(chat))
    for token in tokens:
        decoding.step(token, 0.0, most=len(tokens))
    return decoding.result().text if decoding.finished else None


def best_tokens(
    logits: torch.Tensor, decodings: Sequence[AnswerDecoding], grammar: Grammar | None
) -> tuple[list[int], list[float]]:
    """Return the most probable token of each row, `logits` [n, V], and how improbable it is in nats.

    Among the tokens that the grammar allows there, where there is one. StageError X612.
    """
    # Sums over a vocabulary lose digits in 16 bits.
    scores = logits.float()
    if grammar is not None:
        bits = np.zeros((len(decodings), grammar.words), dtype=np.int32)
        for place, decoding in enumerate(decodings):
            if decoding.matcher is not None:
                decoding.matcher.fill(bits, place)
        # Bits [n, words] as truth values in the shape of the logits.
        places = torch.arange(WORD, dtype=torch.int32, device=logits.device)
        words = torch.from_numpy(bits).to(logits.device).unsqueeze(-1)
        allowed = ((words >> places) & 1).bool().flatten(1)[:, : logits.shape[-1]]
        # Models often pad their vocabulary, so logits have more columns than there are tokens.
        missing = logits.shape[-1] - allowed.shape[-1]
        allowed = torch.nn.functional.pad(allowed, (0, missing))
        scores = scores.masked_fill(~allowed, -torch.inf)
    best, tokens = scores.max(dim=-1)
    nll = scores.logsumexp(dim=-1) - best
    if not bool(nll.isfinite().all()):
        raise not_a_number("X612", "the model's answer is not a number")
    return tokens.tolist(), nll.tolist()
