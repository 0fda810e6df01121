"""What a transformers model says by itself, or held to a grammar: greedily, many rows together.

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
from engine.runtime.generation.sequence import BoundSpeech, FreeSpeech, Speech, best_tokens
from engine.runtime.models.load import LoadedModel


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
