"""Greedy text of a transformers model, free or constrained by a grammar, many rows together.

The most probable of given answers is not decoded but searched for: `engine.runtime.scoring.label_scoring`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import torch

from engine.progress import Progress
from engine.runtime.generation.grammar import Grammar
from engine.runtime.generation.packed_decoding import decode
from engine.runtime.generation.sequence import (
    AnswerDecoding,
    ConstrainedDecoding,
    FreeDecoding,
    best_tokens,
)
from engine.runtime.models.load import LoadedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedText:
    """What a model generated for one prompt."""

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
) -> list[GeneratedText]:
    """Return for each prompt the greedy text, at most `max_new_tokens` long, without its ending.

    With a `constraint` only what fits it is generated, and tokens that it forces cost no forward pass.
    Without one, the probability is among all tokens.
    """
    decodings: list[AnswerDecoding] = [
        FreeDecoding(loaded.chat)
        if constraint is None
        else ConstrainedDecoding(constraint, loaded.chat)
        for _ in prompts
    ]
    pairs = zip(prompts, decodings, strict=True)
    prompt_ids = [
        [*loaded.chat.token_ids(prompt), *decoding.forced_start()] for prompt, decoding in pairs
    ]
    open_rows = [index for index, decoding in enumerate(decodings) if not decoding.finished]

    def step(logits: torch.Tensor, members: Sequence[int]) -> list[list[int]]:
        active = [decodings[open_rows[member]] for member in members]
        tokens, shares = best_tokens(logits, active, constraint)
        return [
            decoding.step(token, share, most=max_new_tokens)
            for decoding, token, share in zip(active, tokens, shares, strict=True)
        ]

    rows = [prompt_ids[index] for index in open_rows]
    decode(loaded, rows, room=max_new_tokens + 1, step=step, progress=progress)
    return [
        GeneratedText(
            text=decoding.text(), probability=exp(-decoding.nll), finished=decoding.finished
        )
        for decoding in decodings
    ]
