"""One row's answer while it is decoded, token by token: free, or constrained by a grammar.

No torch: llama.cpp's worker decodes by it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import exp
from typing import TYPE_CHECKING

from engine.values import Value

if TYPE_CHECKING:
    from engine.runtime.generation.grammar import Matcher
    from engine.runtime.rendering.chat import Chat

TAIL = 8
"""Tokens beyond the terminator's own that are looked at for its text."""


class GeneratedText(Value):
    """The text that a model generated for one prompt."""

    text: str
    probability: float
    """Probability of the text and its ending: by each token's share among the allowed ones."""
    finished: bool
    """It ended its turn by itself, and was not cut off."""


class AnswerTokens(Value):
    """The meaning of the tokens of a model's answers."""

    terminator: str
    tail: int
    """Last tokens that are looked at for it; 0 where it is one token, and that a stop."""
    is_stop: Callable[[int], bool]
    text: Callable[[Sequence[int]], str]
    whole: Callable[[Sequence[int]], str]


class AnswerDecoding:
    """Decodes what a grammar allows or, without one, freely up to the end of the turn."""

    def __init__(self, answer: AnswerTokens, matcher: Matcher | None = None) -> None:
        self.matcher = matcher
        self.tokens = matcher.forced() if matcher is not None else []
        self.nll = 0.0
        self.finished = matcher is not None and matcher.is_done
        self._answer = answer

    def step(self, token: int, nll: float, *, most: int) -> list[int]:
        """Take the next token; return it and those it forces, to be fed, or nothing at the end."""
        self.nll += nll
        if self.matcher is not None:
            self.matcher.accept(token)
            following = [token, *self.matcher.forced()]
            self.tokens += following
            self.finished = self.matcher.is_done
        else:
            following = [] if self._answer.is_stop(token) else [token]
            self.tokens += following
            answer, last = self._answer, self.tokens[-self._answer.tail :]
            ends_in_text = bool(answer.tail) and answer.terminator in answer.whole(last)
            self.finished = not following or ends_in_text
        return [] if self.finished or len(self.tokens) >= most else following

    def result(self) -> GeneratedText:
        """Return the answer without its ending."""
        if self.matcher is None:
            text = self._answer.text(self.tokens)
        else:
            text = self._answer.whole(self.tokens)
            text = text.removesuffix(self._answer.terminator) if self.finished else text
        return GeneratedText(text=text, probability=exp(-self.nll), finished=self.finished)


def answer_tokens(chat: Chat) -> AnswerTokens:
    """Return how the answers of a transformers model are read."""
    ending = len(chat.token_ids(chat.terminator))
    whole = partial(
        chat.tokenizer.decode, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )

    def up_to_terminator(tokens: Sequence[int]) -> str:
        # With special tokens, as the terminator may be made of some; the others are taken out below.
        text: str = whole(tokens).partition(chat.terminator)[0]
        for special in chat.tokenizer.all_special_tokens:
            text = text.replace(special, "")
        return text

    return AnswerTokens(
        terminator=chat.terminator,
        # A terminator of several tokens may be spelled by other tokens, so its text is looked for at the end.
        tail=ending + TAIL if ending > 1 else 0,
        is_stop=chat.stop_ids().__contains__,
        text=up_to_terminator if ending > 1 else chat.text,
        whole=whole,
    )
