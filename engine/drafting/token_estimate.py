"""How many tokens a text may come to, without a tokenizer: `init` fetches no model.

Fitted to the vocabulary of the base model that drafts name (SmolLM2, 49,152 tokens, most of them of English and code),
and rather too many than too few: `recipe data` refuses rows that are longer than the recipe allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.drafting.choices import Guess
from engine.drafting.layout_table import PATTERNS
from engine.drafting.profile import NAMES
from engine.kinds import KINDS, AnswerForm

WIDE: Final = ((0x250, 1.2), (0x800, 1.2), (0xAC00, 2.0), (0xD7B0, 2.8), (0x10000, 2.2), (0x110000, 3.5))  # fmt: skip
"""(first code point above, tokens of a character): accents, other alphabets, Asian scripts, Hangul, emoji."""
CAUTION: Final = 1.1
CHOSEN: Final = "chosen"
TURN: Final = "<|im_start|>user <|im_end|>"
"""What the chat template writes around a turn."""


def are_english(texts: Iterable[str]) -> bool:
    """Whether the first texts have as many of the commonest words as English has: a fifth of all."""
    words = [
        word.lower()
        for text in islice(texts, 200)
        for word in PATTERNS["word"].findall(text[:2000])
    ]
    common = set(NAMES["english"])
    return sum(word in common for word in words) >= 0.2 * len(words) > 0


def estimate(text: str) -> float:
    return tokens_of(text, is_english=are_english([text]))


def tokens_of(text: str, *, is_english: bool) -> float:
    """Return about how many tokens a text comes to, rather too many."""
    return CAUTION * sum(_tokens(run, is_english) for run in PATTERNS["run"].findall(text))


@lru_cache(maxsize=1 << 16)
def _tokens(run: str, is_english: bool) -> float:  # noqa: FBT001
    """Return the tokens of a word, a digit, a character beyond ASCII, or a run of signs."""
    if not run.isascii():
        return next(tokens for above, tokens in WIDE if ord(run) < above)
    if not run.isalpha():
        return 1.0 if run.isdigit() or run.isspace() else max(1.0, len(run) / 1.5)
    # The first letters of an English word are one token; words of other languages, names and keys are in pieces.
    if is_english:
        return 1 + max(0, len(run) - (3 if run.isupper() else 6)) / 2.5
    return max(1.0, len(run) / 2.1)


def row_sizes(guess: Guess, rows: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    texts = [list(_read(guess, row)) for row in rows]
    is_english = are_english(one for some in texts for one in some)

    def size(texts: Iterable[str]) -> float:
        return sum(tokens_of(one, is_english=is_english) for one in texts)

    def longest(row: Mapping[str, Any]) -> float:
        """Return the size of the longer of two answers: each is read alone."""
        answers = [found_at(row, name) for name in guess.pair[1:]]
        if not answers and guess.shape == "dpo":
            both = (CHOSEN, "rejected", "chosen_messages", "rejected_messages")
            answers = [row[name] for name in both if name in row]
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
        for name in () if is_double else NAMES["columns of shapes"]:
            yield from _texts_in(row.get(name) or None)
    elif KINDS[guess.kind].answer is AnswerForm.OBJECT:
        yield str(dict(row))
    else:
        yield from (str(found_at(row, name) or "") for name in (*guess.texts, guess.label) if name)


def _texts_in(value: object) -> Iterator[str]:
    """Yield the texts in a value, and what the chat template writes around each turn."""
    if isinstance(value, Mapping):
        yield TURN
    if isinstance(value, Mapping | list):
        for below in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(below)
    elif value is not None:
        yield str(value)
