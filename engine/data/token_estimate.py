"""Tokens of a text by the classes of its characters, for where no tokenizer is at hand. Light.

The numbers were measured with SmolLM2's tokenizer of 49,152 tokens; docs/explanation/estimates.md shows how far they
are off, and `benchmarks/estimates.py --tokens` measures it. A larger vocabulary writes other scripts than Latin in
fewer tokens.
"""

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from engine.data.examples.example import Example
from engine.data.examples.template import Filled
from engine.recipe.model import Task
from engine.recipe.prompt import conversation
from engine.values import Value, replace

WORD: Final = 1.06
"""A word of English, with the space before it."""
LONG_WORD: Final = 8
FURTHER_LETTER: Final = 0.18
CAPITAL: Final = 0.5
FOREIGN_LETTER: Final = 0.44
"""A letter from a to z in another language than English."""
DIGIT: Final = 1.1
SPACE_BEFORE_DIGIT: Final = 0.5
MARK: Final = 0.45
RUN_OF_MARKS: Final = 0.5
GAP: Final = 0.95
"""A line break with the white space after it, or several spaces."""
SCRIPTS: Final = (
    # first character, tokens for each
    (0x80, 1.1),  # Latin letters with accents, Latin-1 signs
    (0x300, 2.5),  # accents of their own, behind a letter (NFD)
    (0x370, 1.0),  # Greek
    (0x400, 0.9),  # Cyrillic
    (0x530, 2.1),  # Armenian
    (0x590, 1.3),  # Hebrew
    (0x600, 1.2),  # Arabic
    (0x700, 2.1),  # Syriac, Thaana
    (0x900, 1.5),  # Devanagari
    (0x980, 2.15),  # Bengali, Gurmukhi
    (0xA80, 3.1),  # Gujarati, Odia
    (0xB80, 1.95),  # Tamil
    (0xC00, 3.1),  # Telugu, Kannada
    (0xD00, 2.35),  # Malayalam
    (0xD80, 3.1),  # Sinhala
    (0xE00, 1.95),  # Thai
    (0xE80, 3.0),  # Lao
    (0xF00, 2.35),  # Tibetan
    (0x1000, 3.0),  # Burmese
    (0x10A0, 2.1),  # Georgian
    (0x1100, 2.7),  # Hangul in parts
    (0x1200, 3.0),  # Ethiopic
    (0x1780, 2.15),  # Khmer
    (0x1800, 2.7),  # Mongolian and others
    (0x1E00, 2.0),  # Latin letters with two accents, as in Vietnamese
    (0x2000, 1.2),  # dashes, quotation marks, arrows, signs
    (0x3000, 1.2),  # punctuation of Chinese and Japanese
    (0x3040, 1.7),  # kana
    (0x3400, 1.75),  # Chinese characters
    (0xAC00, 2.7),  # Hangul
    (0xD7B0, 1.7),  # wide forms and others
    (0x10000, 3.0),  # emoji
)
_STARTS: Final = [start for start, _ in SCRIPTS]

FUNCTION_WORDS: Final = frozenset(
    {
        *("the", "of", "and", "to", "in", "is", "it", "that", "for", "you", "was", "on", "are"),
        *("with", "as", "i", "be", "this", "have", "from", "at", "or", "not", "by", "but", "what"),
        *("can", "we", "my", "your", "how", "do", "if", "they", "an", "will", "all", "so", "he"),
        *("she", "has", "me", "no", "a", "there", "when", "which", "would"),
    }
)
LEAST_SHARE: Final = 0.1
"""Of function words among the words of English prose; it has 0.3 to 0.5."""
LEAST_WORDS: Final = 8
"""Of a text on average, from which English shows its function words; names, addresses and labels have none."""
MOST_CHARACTERS: Final = 20_000
"""Of a text that are looked at; the rest is taken as alike."""

_LETTERS: Final = re.compile(r"[A-Za-z]+")
# `PlaceName` is two words.
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_DIGITS: Final = re.compile(r"[0-9]+")
_AFTER_SPACE: Final = re.compile(r" [0-9]")
_MARKS: Final = re.compile(r"[!-/:-@\[-`{-~]+")
_GAPS: Final = re.compile(r"[\n\r\t]\s*|\s{2,}")
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


class RowText(Value):
    text: str
    """Of all turns; of a pair with the longer answer."""
    asked: str
    """What is read: an answer, which may hold the names of fields, says nothing of the language."""
    turns: int = 1
    has_system: bool = False


def row_text(task: Task, row: Example | Filled) -> RowText:
    """Return the text of a row without what the task asks of every row."""
    bare = replace(task, instruction="", system="")
    found = conversation(bare, input=row.input, target=row.target, payload=row.payload)
    if not found.messages:
        return RowText(text=row.input, asked=row.input)
    tools = (json.dumps(tool, ensure_ascii=False) for tool in found.tools)
    turns = [*tools, *map(_written, found.messages)]
    # Of a pair, the answer that is not wanted is in the place of the last turns.
    other = [*turns[: len(turns) - len(found.rejected)], *map(_written, found.rejected)]
    return RowText(
        text=max("\n".join(turns), "\n".join(other), key=len),
        asked=row.input,
        turns=len(turns),
        has_system=found.messages[0]["role"] == "system",
    )


def _written(message: Mapping[str, Any]) -> str:
    content, calls = message.get("content") or "", message.get("tool_calls")
    return f"{content}{json.dumps(calls, ensure_ascii=False)}" if calls else str(content)


def estimated_tokens(text: str, *, english: bool = True) -> float:
    """Return about how many tokens a text has; `english` says how its words of Latin letters are counted."""
    head = text[:MOST_CHARACTERS]
    letters = _LETTERS.findall(head)
    latin = sum(map(_word, letters)) if english else FOREIGN_LETTER * sum(map(len, letters))
    digits, marks = "".join(_DIGITS.findall(head)), _MARKS.findall(head)
    counted = Counter("".join(_BEYOND_ASCII.findall(head)))
    found = (
        latin
        + DIGIT * len(digits)
        + SPACE_BEFORE_DIGIT * len(_AFTER_SPACE.findall(head))
        + MARK * sum(map(len, marks))
        + RUN_OF_MARKS * len(marks)
        + GAP * len(_GAPS.findall(head))
        + sum(
            SCRIPTS[bisect_right(_STARTS, ord(character)) - 1][1] * count
            for character, count in counted.items()
        )
    )
    return found * len(text) / len(head) if head else 0.0


def is_english(texts: Iterable[str]) -> bool:
    words = count = 0
    function_words = 0
    for text in texts:
        found = _LETTERS.findall(text[:MOST_CHARACTERS].lower())
        count += 1
        words += len(found)
        function_words += sum(word in FUNCTION_WORDS for word in found)
    return words < LEAST_WORDS * count or function_words >= LEAST_SHARE * words


@lru_cache(maxsize=4096)  # texts repeat their words
def _word(letters: str) -> float:
    return sum(
        CAPITAL * len(word)
        if word.isupper()
        else WORD + FURTHER_LETTER * max(0, len(word) - LONG_WORD)
        for word in _WORDS.findall(letters)
    )
