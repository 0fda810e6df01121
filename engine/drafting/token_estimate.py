"""How many tokens a text may come to, without a tokenizer: `init` fetches no model.

Fitted to the vocabulary of the base model that drafts name (SmolLM2, 49,152 tokens, most of them of English and code),
and rather too many than too few: `recipe data` refuses rows that are longer than the recipe allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.drafting.choices import Guess
from engine.kinds import KINDS, AnswerForm

WORDY: Final = 6
"""Letters of an English word that are one token."""
PIECE: Final = 2.5
"""Letters of a token in longer words."""
SHORT: Final = 3
"""Letters of a word in capitals that are one token."""
FOREIGN_PIECE: Final = 2.1
"""Letters of a token in words of other languages, names and keys."""
SIGNS: Final = 1.5
"""Signs of a token in a run of them, such as the brackets of JSON."""
WIDE: Final = ((0x250, 1.2), (0x800, 1.2), (0xAC00, 2.0), (0xD7B0, 2.8), (0x10000, 2.2))
"""(first code point above, tokens of a character): letters with accents, other alphabets, Asian scripts, Hangul."""
WIDEST: Final = 3.5
"""Tokens of a character beyond those, such as an emoji."""
CAUTION: Final = 1.1
RUN: Final = re.compile(
    r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d|[^\x00-\x7f]|[!-/:-@\[-`{-~]+|\s+(?=\d)|\n+|[\x00-\x08\x0e-\x1f\x7f]"
)
"""Words, single digits, characters beyond ASCII, runs of signs; a blank before a word is a part of it."""
WORD: Final = re.compile(r"[A-Za-z]+")
ENGLISH: Final = frozenset({
    "the", "of", "and", "to", "a", "in", "is", "it", "i", "that", "for", "you", "was", "with", "on", "are", "this",
    "have", "my", "not", "be", "at", "can", "what",
})  # fmt: skip
ENOUGH: Final = 0.2
"""Share of such words from which texts are English."""
LOOKED_AT: Final = 200


def are_english(texts: Iterable[str]) -> bool:
    """Whether the first texts have as many of the commonest words as English has."""
    words = [
        word.lower() for text in islice(texts, LOOKED_AT) for word in WORD.findall(text[:2000])
    ]
    return sum(word in ENGLISH for word in words) >= ENOUGH * len(words) > 0


def estimate(text: str) -> float:
    """Return about how many tokens a text comes to, by its own language."""
    return tokens_of(text, is_english=are_english([text]))


def tokens_of(text: str, *, is_english: bool) -> float:
    """Return about how many tokens a text comes to, rather too many."""
    count = _english if is_english else _foreign
    return CAUTION * sum(map(count, RUN.findall(text)))


@lru_cache(maxsize=1 << 16)
def _english(run: str) -> float:
    if not run.isascii() or not run.isalpha():
        return _other(run)
    return 1 + max(0, len(run) - (SHORT if run.isupper() else WORDY)) / PIECE


@lru_cache(maxsize=1 << 16)
def _foreign(run: str) -> float:
    return max(1.0, len(run) / FOREIGN_PIECE) if run.isascii() and run.isalpha() else _other(run)


def _other(run: str) -> float:
    if not run.isascii():
        return next((tokens for above, tokens in WIDE if ord(run) < above), WIDEST)
    return 1.0 if run.isdigit() or run.isspace() else max(1.0, len(run) / SIGNS)


CHOSEN: Final = "chosen"
COMPARED: Final = (CHOSEN, "rejected", "chosen_messages", "rejected_messages")
"""Columns of two answers in rows of the shape `dpo`."""
READ: Final = (
    "system", "tools", "prompt", "instruction", "input", "output", "history", "question", "completion", "response",
    "messages", "conversations",
)  # fmt: skip
"""Columns that shapes of rows are made of."""
TURN: Final = "<|im_start|>user <|im_end|>"
"""What the chat template writes around a turn."""


def row_sizes(guess: Guess, rows: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Return the tokens that each row may come to as the model reads it, without the instruction."""
    texts = [list(_read(guess, row)) for row in rows]
    is_english = are_english(one for some in texts for one in some)

    def size(texts: Iterable[str]) -> float:
        return sum(tokens_of(one, is_english=is_english) for one in texts)

    def longest(row: Mapping[str, Any]) -> float:
        """Return the size of the longer of two answers: each is read alone."""
        answers = [found_at(row, name) for name in guess.pair[1:]]
        if not answers and guess.shape == "dpo":
            answers = [row[name] for name in COMPARED if name in row]
        return max((size(_texts_in(answer)) for answer in answers), default=0)

    return tuple(round(size(some) + longest(row)) for row, some in zip(rows, texts, strict=True))


def _read(guess: Guess, row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a model reads of a row, without two answers that are compared."""
    if guess.pair:
        yield from _texts_in(found_at(row, guess.pair[0]))
    elif guess.turns is not None:
        turns = found_at(row, guess.turns.column)
        for turn in turns if isinstance(turns, list) else ():
            if isinstance(turn, Mapping):
                yield from _texts_in({"content": turn.get(guess.turns.content)})
    elif guess.shape:
        # A pair of complete conversations holds its prompt twice.
        is_double = isinstance(row.get(CHOSEN), list) and len(row[CHOSEN]) > 1
        for name in () if is_double else READ:
            yield from _texts_in(row.get(name) or None)
    elif KINDS[guess.kind].answer is AnswerForm.OBJECT:
        yield str(dict(row))
    else:
        for name in (*guess.texts, guess.label):
            if name:
                yield str(found_at(row, name) or "")


def _texts_in(value: object) -> Iterator[str]:
    """Yield the texts in a value, and what the chat template writes around each turn."""
    if isinstance(value, Mapping):
        yield TURN
        for below in value.values():
            yield from _texts_in(below)
    elif isinstance(value, list):
        for below in value:
            yield from _texts_in(below)
    elif value is not None:
        yield str(value)
