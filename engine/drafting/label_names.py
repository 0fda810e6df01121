"""What the numbers of labels are called: in a file beside the data, or in the schema of a `datasets` file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.data.reading.row import Trouble
from engine.data.reading.text import chunks
from engine.drafting.layout_table import PATTERNS, Recognised, Rows, columns_of
from engine.errors import DataError
from engine.files.reading import parse_json

Names = Mapping[int, str]


def names_in(path: Path) -> Names | None:
    """Return the names of labels by their numbers; None where a file holds other things."""
    if not PATTERNS["file of label names"].fullmatch(path.name) or path.stat().st_size > (1 << 18):
        return None
    try:
        text = "".join(chunks(path, "utf-8", Trouble(path.name)))
    except DataError:
        return None
    found = _of_json(text) if path.suffix.lower() == ".json" else _of_lines(text)
    is_usable = 2 <= len(found) <= 1000 and len(set(found.values())) == len(found)
    return found if is_usable and max(map(len, found.values())) <= 80 else None


def _of_json(text: str) -> dict[int, str]:
    with suppress(ValueError, TypeError):
        value: Any = parse_json(text)
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return dict(enumerate(value))
        if isinstance(value, dict) and all(type(one) is int for one in value.values()):
            return {code: name for name, code in value.items()}
        if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
            return {int(str(code)): name for code, name in value.items()}
    return {}


def _of_lines(text: str) -> dict[int, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    coded = [re.fullmatch(r"(\d+)[\s,;:]+(.+)|(.+?)[\s,;:]+(\d+)", line) for line in lines]
    # The first line may name the two columns.
    at = 1 if coded and coded[0] is None and all(coded[1:]) and len(coded) > 2 else 0
    found = [one for one in coded[at:] if one]
    if len(found) == len(lines) - at:
        return {int(one[1] or one[4]): (one[2] or one[3]).strip("\"' ") for one in found}
    # A table of several columns says more than names.
    is_table = len(lines) > 2 and all(re.search(r"[,;\t]", line) for line in lines)
    return {} if is_table else dict(enumerate(lines))


def named_labels(rows: Rows, names: Names) -> Recognised:
    """Recognise the column, or the lists, whose numbers are those of the names."""
    for name in sorted(columns_of(rows), key=lambda one: not PATTERNS["labels"].search(one)):
        values = {
            # A value that is no number is none of the names.
            int(str(one)) if PATTERNS["code"].fullmatch(str(one)) else -1
            for row in rows
            for one in _items(row.get(name)) or [row.get(name)]
            if one not in (None, "", [])
        }
        if len(values) < 2 or not (PATTERNS["labels"].search(name) or len(values) == len(names)):
            continue
        # A list without numbers is counted from 0, and by some tools from 1.
        first = int(min(names) == 0 and min(values) >= 1 and max(values) == len(names))
        if {one - first for one in values} <= names.keys():
            named = {code + first: one for code, one in names.items()}
            is_listed = any(PATTERNS["codes"].fullmatch(str(row.get(name))) for row in rows)
            return coded({name: named}, listed=is_listed)
    return None


def coded(columns: Mapping[str, Names], *, listed: bool = False) -> Recognised:
    """Return what replaces the numbers in columns by names; `listed` where a row may have several."""

    def named(value: object, names: Names) -> object:
        found = _named(value, names)
        return [found] if listed and not isinstance(found, list) else found

    shown = ", ".join(f"`{name}`" for name in columns)
    return (
        lambda row: [{**row, **{key: named(row.get(key), names) for key, names in columns.items() if key in row}}],
        f"the numbers in {shown} have names",
    )  # fmt: skip


def _items(value: object) -> list[Any] | None:
    """Return the items of a list, or of a text that lists numbers; None for any other value."""
    if isinstance(value, str) and PATTERNS["codes"].fullmatch(value):
        return re.split(r"\s*[,;|]\s*", value)
    return value if isinstance(value, list) else None


def _named(value: object, names: Names) -> object:
    if (items := _items(value)) is not None:
        return [_named(one, names) for one in items]
    # `datasets` writes -1 where a row has no label.
    if value in (-1, None):
        return None
    return names.get(int(str(value)), value) if PATTERNS["code"].fullmatch(str(value)) else value


def class_names(feature: object) -> list[str]:
    """Return what a feature of `datasets` calls its numbers; nothing where it is none of labels."""
    if isinstance(feature, list) and feature:
        return class_names(feature[0])
    if not isinstance(feature, Mapping):
        return []
    if feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature.get("names") or []]
    return class_names(feature.get("feature"))
