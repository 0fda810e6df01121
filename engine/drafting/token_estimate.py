"""How many tokens a text may come to, without a tokenizer: `init` fetches no model.

Fitted to the vocabulary of the base model that drafts name (SmolLM2, 49,152 tokens, most of them of English and code),
and rather too many than too few: `recipe data` refuses rows that are longer than the recipe allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Final

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
ENGLISH: Final = frozenset(
    (
        *(
            "the",
            "of",
            "and",
            "to",
            "a",
            "in",
            "is",
            "it",
            "i",
            "that",
            "for",
            "you",
            "was",
            "with",
        ),
        *("on", "are", "this", "have", "my", "not", "be", "at", "can", "what"),
    )
)
ENOUGH: Final = 0.2
"""Share of such words from which texts are English."""
LOOKED_AT: Final = 200


def are_english(texts: Iterable[str]) -> bool:
    """Whether the first texts have as many of the commonest words as English has."""
    words = [
        word.lower() for text in islice(texts, LOOKED_AT) for word in WORD.findall(text[:2000])
    ]
    return sum(word in ENGLISH for word in words) >= ENOUGH * len(words) > 0


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
