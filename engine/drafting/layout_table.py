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
`like`, `test`, `optional`), `fits` tests the columns together and may find more, `make` turns a row, and `why` names in
braces what was found; `refuse` and `hint` stand in the place of `make` where no recipe can be made."""
WORDS: Final[Mapping[str, Any]] = TABLE["words"]
FLAGS: Final = frozenset(WORDS["flags"])
SET: Final = frozenset(WORDS["set"])
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


def lower(value: object) -> str:
    return str(value).strip().lower()


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


def split_in(name: str) -> str:
    """Return the split that the last word of a name says which says one; empty where none does."""
    words = re.split(r"[^a-z]+", name.lower())
    return next(filter(None, map(split_named, reversed(words))), "")


def split_named(word: str) -> str:
    place = TABLE["splits"].get(word, word)
    return PLACES[place].split if place in PLACES else ""


def may_say_split(name: str) -> bool:
    return bool(PATTERNS["flag of a split"].match(name) or PATTERNS["column of splits"].match(name))


def splits(rows: Rows) -> Recognised:
    """Recognise a column that says the split in words of its own (`eval`, `tst`), or by yes and no (`is_test`)."""
    for name in filter(may_say_split, columns_of(rows)):
        words = {lower(row.get(name)) for row in rows}
        if flag := PATTERNS["flag of a split"].match(name):
            new, why = SPLIT, f"`{name}` says which rows judge"
            is_train = flag[1].lower().startswith("train")
            plain = {word: "train" if (word in SET) == is_train else "test" for word in words}
            is_needed = words <= FLAGS
        else:
            new, why = name, f"`{name}` says the split in other words"
            known = TABLE["splits"] | TABLE["splits of columns"]
            plain = {word: known.get(word, word) for word in words}
            is_needed = any(word != one for word, one in plain.items())
        places = {PLACES[one].split for one in plain.values() if one in PLACES}
        if not is_needed or "train" not in places or len(places) < 2:
            continue
        if not plain.keys() <= {word for word, one in plain.items() if one in PLACES}:
            continue
        if "holdout" not in places:
            # The only split to judge by judges.
            plain = {
                word: "train" if PLACES[one].split == "train" else "test"
                for word, one in plain.items()
            }

        def turn(
            row: Row, name: str = name, new: str = new, plain: Row = plain
        ) -> list[dict[str, Any]]:
            # A column that keeps its name keeps its place.
            rest = row if new == name else without(row, name)
            return [{**rest, new: plain[lower(row.get(name))]}]

        return turn, why
    return None
