"""Texts that a model writes by itself: sampled token by token from all of its own probabilities.

Nothing is cut off or sharpened (temperature 1, no top-k or top-p), so that training on them asks of the model what it
says already: the mean loss of the samples is the entropy of the model that drew them, and only another model has more.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch

from engine.progress import Progress
from engine.runtime.generation.packed_decoding import decode
from engine.runtime.models.load import LoadedModel, not_a_number
from engine.runtime.models.wide import in_64_bits


@dataclass(slots=True, kw_only=True)
class SampledText:
    """One text."""

    draw: random.Random
    tokens: list[int] = field(default_factory=list)
    """Without what it began after, and without what ends it."""
    ended: bool = False
    """The model ended it; else it was cut off."""


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
        taken = [samples[member] for member in members]
        return [
            _taken(sample, token, stops=stops, most=most)
            for sample, token in zip(taken, _drawn(logits, taken), strict=True)
        ]

    decode(loaded, [[first] for _ in seeds], most=most + 1, step=step, progress=progress)
    return samples


def _drawn(logits: torch.Tensor, samples: Sequence[SampledText]) -> list[int]:
    """Return a token of each row, `logits` [n, V]: the first whose summed probability exceeds a number from 0 to 1."""
    if not bool(logits.isfinite().all()):
        raise not_a_number("X612", "the probabilities of a sampled text are not numbers")
    sums = in_64_bits(logits).softmax(-1).cumsum(-1)
    # Relative to the last sum, which rounding leaves beside 1.
    wanted = torch.tensor([one.draw.random() for one in samples], dtype=torch.float64)
    bounds = wanted.to(sums.device)[:, None] * sums[:, -1:]
    found: list[int] = torch.searchsorted(sums, bounds, right=True)[:, 0].tolist()
    return [min(token, logits.shape[-1] - 1) for token in found]


def _taken(sample: SampledText, token: int, *, stops: Collection[int], most: int) -> list[int]:
    """Add a token to a text; return what is fed next, nothing where the text is done."""
    if token in stops:
        sample.ended = True
        return []
    sample.tokens.append(token)
    return [] if len(sample.tokens) >= most else [token]
