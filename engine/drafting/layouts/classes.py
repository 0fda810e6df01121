"""Whether the names of files or of sheets are the classes of the rows in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from engine.data.examples.chat_formats import recognise
from engine.drafting.layout_table import Row, columns_of
from engine.drafting.roles import ID_NAMES, LABEL_NAMES, LONGEST_LABEL, METADATA_NAMES, MOSTLY, rank

MONTH: Final = re.compile(
    r"jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|(sept?|nov|dec)(ember)?|oct(ober)?"
)
PARTS: Final = (
    *("sheet", "table", "tabelle", "feuil", "hoja", "page", "part", "batch", "shard", "chunk"),
    *("export", "data", "rows", "week", "quarter", "month", "q", "w", "kw"),
)
"""Words that stand before the number of a part."""
JUDGED: Final = frozenset(
    {
        "true",
        "fake",
        "real",
        "false",
        "pos",
        "neg",
        "positive",
        "negative",
        "neutral",
        "spam",
        "ham",
    }
    | {"human", "machine", "ai", "toxic", "nontoxic", "hate", "nothate", "sarcastic", "ironic"}
)
"""Names of files that judge what is in them, whatever else sorts the rows."""
COME_AGAIN: Final = 5
"""Times that values come again, on average, where they sort the rows."""


def are_classes(names: Sequence[str], rows: Sequence[Row]) -> bool:
    """Whether names are different words, no times and no parts of one table, and no column sorts the rows.

    Rows that hold their answer in a usual shape (a prompt and a completion, turns) need no class either.
    """
    words = {re.sub(r"[\W\d_]+", "", name).lower() for name in names}
    if len(words) > 1 and words <= JUDGED:
        return True
    is_named = len(words) == len(set(names)) and not any(map(_is_part, words))
    return is_named and not are_sorted(rows) and not any(map(recognise, rows))


def _is_part(word: str) -> bool:
    return not word or word in PARTS or bool(MONTH.fullmatch(word))


def are_sorted(rows: Sequence[Row]) -> bool:
    """Whether a column has the name of a label, or holds a few words that come again and again."""
    return any(
        rank(name, LABEL_NAMES) < len(LABEL_NAMES) or _sorts(rows, name)
        for name in columns_of(rows)
    )


def _sorts(rows: Sequence[Row], name: str) -> bool:
    no_label = (*METADATA_NAMES, *ID_NAMES)
    texts = [
        text.strip() for row in rows if isinstance(text := row.get(name), str) and text.strip()
    ]
    if len(texts) < MOSTLY * len(rows) or rank(name, no_label) < 2 * len(no_label):
        return False
    few = 2 <= len(set(texts)) <= len(texts) / COME_AGAIN
    return few and max(map(len, texts)) <= LONGEST_LABEL and not all(map(_is_number, texts))


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[\d.,]+", text))
