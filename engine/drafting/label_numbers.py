"""The names of labels that are numbers in the rows: from a file beside them, or from the schema of a Parquet file."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.data.reading.row import Trouble
from engine.data.reading.text import chunks
from engine.drafting.layout_table import PATTERNS, Recognised, Row, Rows, Turned, columns_of, texts
from engine.errors import DataError
from engine.files.reading import parse_json

Names = Mapping[int, str]


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
    if not isinstance(value, dict):
        return None
    if all(type(code) is int for code in value.values()):
        value = {code: name for name, code in value.items()}
    names = [*value.values()]
    are_numbers = all(str(code).isdecimal() for code in value)
    are_names = texts(names) and 2 <= len(set(names)) == len(names) <= 1000
    if not are_numbers or not are_names or max(map(len, names)) > 80:
        return None
    return {int(code): name for code, name in value.items()}


def _names_in_lines(text: str) -> object:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    either = re.compile(r"(\d+)[\s,;:]+(.+)|(.+?)[\s,;:]+(\d+)")
    coded = [found for line in lines if (found := either.fullmatch(line))]
    # The first line may name the two columns.
    if len(coded) >= max(2, len(lines) - 1):
        return {int(one[1] or one[4]): (one[2] or one[3]).strip("\"' ") for one in coded}
    # A table of several columns says more than names.
    is_table = len(lines) > 2 and all(re.search(r"[,;\t]", line) for line in lines)
    return None if is_table else lines


def names_in_schema(metadata: Mapping[bytes, bytes] | None) -> dict[str, Names]:
    """Return the names of the labels of each column, as `datasets` keeps them in the schema of a file."""
    try:
        value: Any = parse_json((metadata or {}).get(b"huggingface", b"{}").decode())
        features = value["info"]["features"]
        found = {str(column): _class_names(feature) for column, feature in features.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {column: dict(enumerate(names)) for column, names in found.items() if names}


def _class_names(feature: object) -> list[str]:
    if isinstance(feature, list) and feature:
        return _class_names(feature[0])
    if not isinstance(feature, Mapping):
        return []
    if feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature.get("names") or []]
    return _class_names(feature.get("feature"))


def named_labels(rows: Rows, names: Names) -> Recognised:
    """Recognise the column, or the lists, whose numbers are those of the names."""
    for name in sorted(columns_of(rows), key=lambda one: not PATTERNS["labels"].search(one)):
        filled = [row[name] for row in rows if row.get(name) not in (None, "")]
        codes = {_code(one) for value in filled for one in _items(value)}
        if len(codes) < 2 or not (PATTERNS["labels"].search(name) or len(codes) == len(names)):
            continue
        # A list without numbers is counted from 0, and by some tools from 1.
        first = int(min(names) == 0 and min(codes) >= 1 and max(codes) == len(names))
        if {code - first for code in codes} <= names.keys():
            is_list = any(len(_items(value)) > 1 for value in filled)
            named = {code + first: label for code, label in names.items()}
            return with_names({name: named}, listed=is_list)
    return None


def with_names(columns: Mapping[str, Names], *, listed: bool = False) -> tuple[Turned, str]:
    """Return what replaces the numbers in columns by names; `listed` where a row may have several."""

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        found = dict(row)
        for name in columns.keys() & row.keys():
            labels = [_named(one, columns[name]) for one in _items(row[name])]
            is_one = len(labels) == 1 and not listed and not isinstance(row[name], list)
            found[name] = labels[0] if is_one else labels
        yield found

    return turn, f"the numbers in {', '.join(f'`{name}`' for name in columns)} have names"


def _items(value: object) -> list[Any]:
    """Return the items of a list, or of a text that lists numbers; any other value is one item."""
    if isinstance(value, str) and PATTERNS["codes"].fullmatch(value):
        return re.split(r"\s*[,;|]\s*", value)
    return value if isinstance(value, list) else [value]


def _code(value: object) -> int:
    """Return the number of a label; -1, which names none, for any other value."""
    return int(str(value)) if PATTERNS["code"].fullmatch(str(value)) else -1


def _named(value: object, names: Names) -> object:
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    # `datasets` writes -1 where a row has no label.
    return None if value in (-1, None) else names.get(_code(value), value)
