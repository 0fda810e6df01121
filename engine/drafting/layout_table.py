"""Layouts of rows: what the table `schemas/layouts.json` needs of columns, and what it makes of a row."""

from __future__ import annotations

import itertools
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
Steps = Mapping[str, Callable[..., Any]]
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


TESTS: Final[Mapping[str, Callable[[Sequence[Any]], bool]]] = {
    "": lambda _: True,
    "texts": lambda values: all(isinstance(value, str) for value in values),
    "lists": lambda values: all(isinstance(value, list) for value in values),
    "objects": lambda values: all(isinstance(value, Mapping) for value in values),
    "lists of texts": lambda values: all(map(texts, values)),
    "filled lists of texts": lambda values: all(texts(value) and value for value in values),
    "some texts": lambda values: any(isinstance(value, str) for value in values),
    "some lists of objects": lambda values: any(values) and all(map(objects, filter(None, values))),
    "some marked": lambda values: any(one and isinstance(one, list | Mapping) for one in values),
    "begins with a list": lambda values: isinstance(values[0], list),
}
"""Of the values of a column; the modules of layouts have more."""


def recognise(layout: Mapping[str, Any], rows: Rows, steps: Steps) -> Recognised:
    """Return what makes rows of a layout of the table plain, and why; None where the rows are of another one."""
    if "layout" in layout:
        found: Recognised = steps[layout["layout"]](rows)
        return found
    names = columns_of(rows)
    columns = [_columns(need, rows, names, steps) for need in layout["needs"].values()]
    make, least = steps[layout["make"]], layout.get("share", NEARLY) * len(rows)
    for chosen in itertools.islice(itertools.product(*columns), 2_000):
        at: dict[str, Any] = dict(zip(layout["needs"], chosen, strict=True))
        filled = [name for name in chosen if name]
        others = {name.lower() for name in names if name not in filled}
        if len(set(filled)) < len(filled) or not others.isdisjoint(layout.get("unless", ())):
            continue
        more = steps[layout["fits"]](rows, at) if "fits" in layout else True
        at |= more if isinstance(more, Mapping) else {}

        def turn(row: Row, at: dict[str, Any] = at) -> Iterable[dict[str, Any]]:
            made: Iterable[dict[str, Any]] = make(row, at)
            return made

        if more and _is_turned(turn, rows, least):
            return turn, layout["why"].format(**at)
    return None


def _is_turned(turn: Turned, rows: Rows, least: float) -> bool:
    """Whether something becomes of so many rows."""
    left = len(rows) - least
    for row in rows:
        left -= not turned(turn, row)
        if left < 0:
            return False
    return True


def _columns(need: Mapping[str, Any], rows: Rows, names: Sequence[str], steps: Steps) -> list[str]:
    """Return the columns that may have a role; an empty name where it may have none."""
    known = WORDS[need["names"]] if isinstance(need.get("names"), str) else need.get("names", ())
    like = WORDS.get(need.get("like", ""), need.get("like", ""))
    wanted = [*known, *need.get("first", ())]
    called = [
        name
        for name in names
        if (not known or name.lower() in known) and (not like or re.fullmatch(like, name))
    ]
    called.sort(key=lambda one: wanted.index(one.lower()) if one.lower() in wanted else len(wanted))
    test = TESTS.get(need.get("test", "")) or steps[need["test"]]
    found = [
        name
        for name in called
        if (need.get("sparse") or all(name in row for row in rows))
        and test([row.get(name) for row in rows])
    ]
    return found or ([""] if need.get("optional") else [])


def turned(turn: Turned, row: Row) -> list[dict[str, Any]] | None:
    """Return what becomes of a row; None where it is laid out otherwise."""
    try:
        # The split that its file is of stays, whatever becomes of the other columns.
        kept = {SPLIT: row[SPLIT]} if SPLIT in row else {}
        return [{**kept, **new} for new in turn(row)]
    except ODD:
        return None
