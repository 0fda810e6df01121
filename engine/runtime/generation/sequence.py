"""One row's answer while it is decoded, token by token: free, or constrained by a grammar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from engine.runtime.generation.grammar import WORD, Grammar
from engine.runtime.models.load import not_a_number
from engine.runtime.rendering.chat import Chat

TAIL = 8
"""Tokens beyond the terminator's own that are looked at for its text."""


class AnswerDecoding(Protocol):
    """What decoding needs of an answer while it is decoded."""

    nll: float
    """Negative log-likelihood so far, in nats."""
    finished: bool

    def forced_start(self) -> list[int]:
        """Return the tokens that every answer begins with, whatever the model would choose."""

    def step(self, token: int, nll: float, *, most: int) -> list[int]:
        """Take the next token; return what is to be fed, nothing at the end."""

    def text(self) -> str:
        """Return the answer without its ending."""


class FreeDecoding:
    """Decodes freely, up to the end of the turn."""

    def __init__(self, chat: Chat) -> None:
        """Start with no token."""
        self.nll, self.finished = 0.0, False
        self._chat, self._tokens = chat, list[int]()
        self._stops = chat.stop_ids()
        ending = chat.token_ids(chat.terminator)
        # A terminator of several tokens may be spelled by other tokens, so its text is looked for at the end.
        self._tail = len(ending) + TAIL if len(ending) > 1 else 0

    def forced_start(self) -> list[int]:
        """Return nothing: all is the model's."""
        return []

    def step(self, token: int, nll: float, *, most: int) -> list[int]:
        """Take the next token; return it to be fed, or nothing at the end."""
        self.nll += nll
        self.finished = token in self._stops
        if not self.finished:
            self._tokens.append(token)
            self.finished = self._ends_in_text()
        return [] if self.finished or len(self._tokens) >= most else [token]

    def text(self) -> str:
        """Return the answer up to the terminator."""
        if not self._tail:
            return self._chat.text(self._tokens)
        # With special tokens, as the terminator may be made of some; the others are taken out below.
        text = _with_special(self._chat, self._tokens).partition(self._chat.terminator)[0]
        for special in self._chat.tokenizer.all_special_tokens:
            text = text.replace(special, "")
        return text

    def _ends_in_text(self) -> bool:
        """Return whether the text ends with a terminator of several tokens, which no stop token catches."""
        if not self._tail:
            return False
        return self._chat.terminator in _with_special(self._chat, self._tokens[-self._tail :])


class ConstrainedDecoding:
    """Decodes what a grammar allows."""

    def __init__(self, grammar: Grammar, chat: Chat) -> None:
        """Start at the beginning of an answer."""
        self.nll, self.finished = 0.0, False
        self._chat, self._grammar = chat, grammar
        self._tokens = list[int]()
        self.matcher = grammar.matcher()

    def forced_start(self) -> list[int]:
        """Return the tokens that every answer begins with."""
        self._tokens = self.matcher.forced()
        self.finished = self.matcher.is_done
        return list(self._tokens)

    def step(self, token: int, nll: float, *, most: int) -> list[int]:
        """Take the next token; return it and those it forces, or nothing at the end."""
        self.nll += nll
        self.matcher.accept(token)
        following = [token, *self.matcher.forced()]
        self._tokens += following
        self.finished = self.matcher.is_done
        return [] if self.finished or len(self._tokens) >= most else following

    def text(self) -> str:
        """Return the answer without the terminator."""
        whole = _with_special(self._chat, self._tokens)
        return whole.removesuffix(self._chat.terminator) if self.finished else whole


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
            if isinstance(decoding, ConstrainedDecoding):
                decoding.matcher.fill(bits, place)
        scores = scores.masked_fill(~_spread(torch.from_numpy(bits), logits), -torch.inf)
    best, tokens = scores.max(dim=-1)
    nll = scores.logsumexp(dim=-1) - best
    if not bool(nll.isfinite().all()):
        raise not_a_number("X612", "the model's answer is not a number")
    return tokens.tolist(), nll.tolist()


def _spread(bits: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return bits [n, words] as truth values in the shape of the logits [n, V]."""
    places = torch.arange(WORD, dtype=torch.int32, device=logits.device)
    spread = ((bits.to(logits.device).unsqueeze(-1) >> places) & 1).bool().flatten(1)
    # Models often pad their vocabulary, so logits have more columns than there are tokens.
    missing = logits.shape[-1] - spread.shape[-1]
    return (
        torch.nn.functional.pad(spread, (0, missing))
        if missing > 0
        else spread[:, : missing or None]
    )


def _with_special(chat: Chat, token_ids: Sequence[int]) -> str:
    decoded: str = chat.tokenizer.decode(
        token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    return decoded
