"""Labels in several columns, as numbers whose names are elsewhere, and in lists that were written as text."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.data.reading.row import Trouble
from engine.data.reading.text import chunks
from engine.drafting.layout_table import (
    FLAGS,
    NEARLY,
    PATTERNS,
    SET,
    Columns,
    Recognised,
    Row,
    Rows,
    Turned,
    columns_of,
    lower,
    texts,
    without,
)
from engine.drafting.profile import LONGEST_LABEL, is_called
from engine.errors import DataError
from engine.files.reading import parse_json

Names = Mapping[int, str]
Made = Iterator[dict[str, Any]]
Found = Columns | None
"""What a test of all rows found: further columns and words of a layout."""


def names_in(path: Path) -> Names | None:
    """Return the names of labels by their numbers; None where a file holds other things."""
    if not PATTERNS["file of label names"].fullmatch(path.name) or path.stat().st_size > (1 << 18):
        return None
    try:
        text = "".join(chunks(path, "utf-8", Trouble(path.name)))
        value: Any = parse_json(text) if path.suffix.lower() == ".json" else _names_in_lines(text)
    except (DataError, ValueError):
        return None
    if texts(value):
        value = dict(enumerate(value))
    elif isinstance(value, dict) and all(type(code) is int for code in value.values()):
        value = {code: name for name, code in value.items()}
    if not isinstance(value, dict) or not texts(names := [*value.values()]):
        return None
    is_usable = 2 <= len(names) <= 1000 and len(set(names)) == len(names)
    if (
        not is_usable
        or not all(str(code).isdecimal() for code in value)
        or max(map(len, names)) > 80
    ):
        return None
    return {int(code): name for code, name in value.items()}


def _names_in_lines(text: str) -> object:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    coded = [re.fullmatch(r"(\d+)[\s,;:]+(.+)|(.+?)[\s,;:]+(\d+)", line) for line in lines]
    # The first line may name the two columns.
    coded = coded[1:] if len(coded) > 2 and coded[0] is None else coded
    found = [one for one in coded if one]
    if len(found) == len(coded):
        return {int(one[1] or one[4]): (one[2] or one[3]).strip("\"' ") for one in found}
    # A table of several columns says more than names.
    is_table = len(lines) > 2 and all(re.search(r"[,;\t]", line) for line in lines)
    return None if is_table else lines


def named_labels(rows: Rows, names: Names) -> Recognised:
    """Recognise the column, or the lists, whose numbers are those of the names."""
    for name in sorted(columns_of(rows), key=lambda one: not PATTERNS["labels"].search(one)):
        items = [_items(row.get(name)) for row in rows]
        # A value that is no number is none of the names.
        codes = {
            int(str(one)) if PATTERNS["code"].fullmatch(str(one)) else -1
            for some in items for one in some if one not in (None, "")
        }  # fmt: skip
        if len(codes) < 2 or not (PATTERNS["labels"].search(name) or len(codes) == len(names)):
            continue
        # A list without numbers is counted from 0, and by some tools from 1.
        first = int(min(names) == 0 and min(codes) >= 1 and max(codes) == len(names))
        if {one - first for one in codes} <= names.keys():
            named = {code + first: one for code, one in names.items()}
            return coded({name: named}, listed=any(len(some) > 1 for some in items))
    return None


def coded(columns: Mapping[str, Names], *, listed: bool = False) -> tuple[Turned, str]:
    """Return what replaces the numbers in columns by names; `listed` where a row may have several."""

    def turn(row: Row) -> Made:
        found = dict(row)
        for name in columns.keys() & row.keys():
            labels = [_named(one, columns[name]) for one in _items(row[name])]
            is_list = listed or len(labels) != 1 or isinstance(row[name], list)
            found[name] = labels if is_list else labels[0]
        yield found

    shown = ", ".join(f"`{name}`" for name in columns)
    return turn, f"the numbers in {shown} have names"


def _items(value: object) -> list[Any]:
    """Return the items of a list, or of a text that lists numbers; any other value is one item."""
    if isinstance(value, str) and PATTERNS["codes"].fullmatch(value):
        return re.split(r"\s*[,;|]\s*", value)
    return value if isinstance(value, list) else [value]


def _named(value: object, names: Names) -> object:
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    # `datasets` writes -1 where a row has no label.
    if value in (-1, None):
        return None
    return names.get(int(str(value)), value) if PATTERNS["code"].fullmatch(str(value)) else value


def plain_name(name: str) -> str:
    plain = " ".join(re.sub(r"[{}]", "", name).split())
    # A dot divides a path, and no part of it is empty.
    plain = plain if all(plain.split(".")) else " ".join(plain.replace(".", " ").split())
    return plain or name


def odd_names(rows: Rows, _: Columns) -> Found:
    """Find names of columns that no template can name: with blanks at their ends, line breaks or braces."""
    names = columns_of(rows)
    odd = [name for name in names if name != plain_name(name)]
    is_clear = len(set(map(plain_name, names))) == len(names)
    return {"odd": " ".join(odd[0].split())} if odd and is_clear else None


def renamed(row: Row, _: Columns) -> Made:
    yield {plain_name(name): value for name, value in row.items()}


def lists_as_text(rows: Rows, _: Columns) -> Found:
    """Find lists that are text in a table: `["a", "b"]` of JSON, or `['a', 'b']` as Python prints it."""
    columns = []
    for name in columns_of(rows):
        found = [_list_in(row[name]) for row in rows if row.get(name) not in (None, "")]
        columns += [name] if found and len(found) - found.count(None) >= NEARLY * len(found) else []
    return {"first": columns[0], "columns": columns} if columns else None


def read_lists(row: Row, at: Columns) -> Made:
    lists = {name: _list_in(row[name]) for name in at["columns"] if isinstance(row.get(name), str)}
    yield {**row, **{name: value or [] for name, value in lists.items()}}


def _list_in(text: object) -> list[Any] | None:
    """Return the list of a text; None for what holds none."""
    text = text.strip() if isinstance(text, str) else ""
    for read in (parse_json, ast.literal_eval) if text.startswith("[") else ():
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            value = read(text)
            return value if isinstance(value, list) else None
    return None


def numbered(rows: Rows, _: Columns) -> Found:
    """Find columns of one name with numbers that hold the labels of a row, the last ones seldom filled."""
    stems: dict[str, list[str]] = {}
    for name in columns_of(rows):
        stems.setdefault(re.sub(r"[ _-]?\d+$", "", name), []).append(name)
    for stem, columns in stems.items():
        values = [_filled(row, columns) for row in rows]
        empty = sum(not _filled(row, columns[-1:]) for row in rows)
        # Several people's labels of one row are there in every row.
        is_seldom = len(columns) > 1 and 0.05 * len(rows) < empty < len(rows)
        is_short = all(len(one) <= LONGEST_LABEL for some in values for one in some)
        if is_called(stem, "label") and is_seldom and is_short:
            return {"stem": stem, "columns": columns, "first": columns[0], "last": columns[-1]}
    return None


def _filled(row: Row, columns: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(str(row[n]).strip() for n in columns if row.get(n) not in (None, "")))


def together(row: Row, at: Columns) -> Made:
    yield {**without(row, *at["columns"]), at["stem"]: _filled(row, at["columns"])}


def flags(rows: Rows, _: Columns) -> Found:
    """Find columns of 0 and 1 that are labels each."""
    words = {
        name: {lower(row.get(name)) for row in rows if row.get(name) is not None}
        for name in columns_of(rows)
    }
    columns = [
        name
        for name, some in words.items()
        if some <= FLAGS and any(some) and not PATTERNS["no flag"].match(name)
    ]
    # Two such columns may be a label and a remark on the row.
    fewest = 3 if any(map(PATTERNS["no flag of two"].match, columns)) else 2
    has_classes = any(
        2 <= len({str(row.get(name)) for row in rows}) <= len(rows) // 4
        for name in words
        if name not in columns and is_called(name, "label")
    )
    used = sum(bool(words[name] & SET) for name in columns)
    if not fewest <= len(columns) <= 100 or used < 2 or has_classes:
        return None
    return {"columns": columns, "count": len(columns), "first": columns[0]}


def flags_together(row: Row, at: Columns) -> Made:
    yield {**without(row, *at["columns"]), "labels": _set_in(row, at["columns"])}


def _set_in(row: Row, names: Iterable[str]) -> list[str]:
    return [name for name in names if lower(row.get(name)) in SET]


def has_flags(rows: Rows, at: Columns) -> Found:
    """Recognise objects of the same flags; `is_one` where each sets one of them."""
    values = [row[at["name"]] for row in rows]
    words = {lower(flag) for value in values for flag in value.values()}
    are_alike = len(values[0]) > 1 and all(value.keys() == values[0].keys() for value in values)
    found = [_set_in(value, value) for value in values]
    is_usable = are_alike and words <= FLAGS and len({one for some in found for one in some}) > 1
    return {"is_one": all(len(some) == 1 for some in found)} if is_usable else None


def set_flags(row: Row, at: Columns) -> Made:
    found = _set_in(row[at["name"]], row[at["name"]])
    if found or not at["is_one"]:
        yield {**row, at["name"]: found[0] if at["is_one"] else found}
