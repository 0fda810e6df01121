"""When a text counts as the same answer as another: exactly, normalised, by a pattern, as a number."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import deque
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from engine.recipe.patterns import compiled, in_time

ARTICLES = re.compile(r"\b(a|an|the)\b")
NUMBER = re.compile(
    r"""(?:(?<!\w)[-+]\s?)?            # a sign, not the dash of a range
        (?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)
        (?:e[-+]?\d{1,3}(?!\w))?""",
    re.VERBOSE | re.IGNORECASE,
)


def normalised(text: str) -> str:
    """Return the text as SQuAD's evaluation compares it, with Unicode folded first.

    NFKC, case folded, without punctuation and without the articles a, an and the, single spaces.
    Where that leaves nothing, such as of the answer `A`, articles (then punctuation) stay.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(letter for letter in folded if not _is_punctuation(letter))
    for found in (ARTICLES.sub(" ", bare), bare, folded):
        if words := found.split():
            return " ".join(words)
    return ""


def answer_in(text: str, pattern: str) -> str | None:
    """Return what the pattern's last match holds: its first group, or all of it where it has none.

    DataError D425 where that takes too long.
    """
    with in_time("task.answer_pattern", f"a text of {len(text):,} characters"):
        # Keeps the last match without holding all of them.
        matches = deque(_compiled(pattern).finditer(text), maxlen=1)
    if not matches:
        return None
    found = matches[0].group(1 if matches[0].re.groups else 0)
    return None if found is None else found.strip()


def number_in(text: str, pattern: str = "") -> Decimal | None:
    """Return the last number of the text, or of the pattern's match where there is one.

    Commas between thousands, currency signs and a percent sign are no part of it: `$1,234.50` is
    1234.5, and `50 %` is 50.
    """
    held = answer_in(text, pattern) if pattern else None
    # NFKC leaves the minus sign U+2212 as it is.
    normal = unicodedata.normalize("NFKC", text if held is None else held).replace(
        "\N{MINUS SIGN}", "-"
    )
    # Before the search: in `-$5` the sign stands apart from its number.
    plain = "".join(letter for letter in normal if unicodedata.category(letter) != "Sc")
    found = NUMBER.findall(plain)
    if not found:
        return None
    try:
        # Not a float, in which numbers of twenty digits become equal.
        return Decimal(re.sub(r"[,\s]", "", found[-1]))
    except InvalidOperation:
        return None


def _is_punctuation(letter: str) -> bool:
    return letter in string.punctuation or unicodedata.category(letter).startswith("P")


@lru_cache(maxsize=16)
def _compiled(pattern: str) -> re.Pattern[str]:
    return compiled(pattern)
