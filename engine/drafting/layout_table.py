"""The tables of layouts and patterns, and what modules that know a layout share."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

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
"""{words, templates, splits, separators, rows: [{why, needs: {role: {names, like, first, test, optional, sparse}},
unless, fits, make}]}: `why` names the column of a role in braces, `fits` tests the columns together, and `make` turns
a row. `{layout}` is a function that looks at all columns. Of separators of label and text, the least usual is first."""
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
ODD: Final = (KeyError, TypeError, AttributeError, ValueError, IndexError)
"""What is raised where a row is laid out otherwise than those by which its layout was recognised."""


def columns_of(rows: Rows) -> list[str]:
    """Return the names of the columns, in the order in which rows have them."""
    return list(dict.fromkeys(str(name) for row in rows[:50] for name in row))


def objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def without(row: Row, *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def turned(turn: Turned, row: Row) -> list[dict[str, Any]] | None:
    """Return what becomes of a row; None where it is laid out otherwise."""
    try:
        # The split that its file is of stays, whatever becomes of the other columns.
        kept = {SPLIT: row[SPLIT]} if SPLIT in row else {}
        return [{**kept, **new} for new in turn(row)]
    except ODD:
        return None
