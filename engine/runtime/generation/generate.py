"""Greedy text of a transformers model, free or constrained by a grammar, many rows together.

The most probable of given answers is not decoded but searched for: `engine.runtime.scoring.label_scoring`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.progress import Progress
from engine.runtime.generation.grammar import WORD, Grammar
from engine.runtime.generation.packed_decoding import decode
from engine.runtime.generation.sequence import AnswerDecoding, GeneratedText, answer_tokens
from engine.runtime.models.load import LoadedModel, in_64_bits, not_a_number

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat


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
