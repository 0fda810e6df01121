"""The tables of layouts and patterns, splits by their names, and what modules that know a layout share."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from engine.data.splitting.column import PLACES
from engine.files.reading import parse_json
from engine.recipe.text.words import IN_WORD
from engine.recipe.validation.schema import schema_text

Row = Mapping[str, Any]
Rows = Sequence[Row]
Columns = Mapping[str, Any]
"""The name of the column of each role, and what else was found."""
Turned = Callable[[Row], Iterable[dict[str, Any]]]
Recognised = tuple[Turned, str] | None
TABLE: Final[Mapping[str, Any]] = parse_json(schema_text("layouts.json"))
"""Lists of words, and `rows`: layouts in their order. `needs` are roles and the columns that may have them (`names`,
`like`, `test`), `fits` tests the columns together and may find more, `make` turns a row, and `why` names in
braces what was found; `refuse` and `hint` stand in the place of `make` where no recipe can be made."""
WORDS: Final[Mapping[str, Any]] = TABLE["words"]
PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    name: re.compile(pattern.replace("<WORD>", IN_WORD))
    for name, (pattern, _) in parse_json(schema_text("draft-patterns.json")).items()
}
"""Of names of files and columns, of values and lines; the table says what each is."""
NEARLY: Final = 0.95
LOOKED_AT: Final = 500
"""Rows by which a layout is recognised."""
SPLIT: Final = "split"
"""The column of the split that the name of a file says."""


def columns_of(rows: Rows) -> list[str]:
    """Return the names of the columns, in the order in which rows have them."""
    return list(dict.fromkeys(str(name) for row in rows[:50] for name in row))


def lower(value: object) -> str:
    return str(value).strip().lower()


def objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def without(row: Row, *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def split_in(name: str) -> str:
    """Return the split that the last word of a name says which says one; empty where none does."""
    words = re.split(r"[^a-z]+", name.lower())
    return next(filter(None, map(split_named, reversed(words))), "")


def split_named(word: str) -> str:
    place = TABLE["splits"].get(word, word)
    return PLACES[place].split if place in PLACES else ""
