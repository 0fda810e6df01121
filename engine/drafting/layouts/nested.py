"""JSON documents with rows in an order of their own: columns beside their names, wrapped rows, parts of a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.drafting.layout_table import texts
from engine.drafting.layouts.label_names import class_names
from engine.drafting.marks import marked_text

Rows = list[dict[str, Any]]
FEWEST: int = 4
"""Rows from which lists of one length are columns."""


def rows_of_document(value: object) -> tuple[Rows, str] | None:
    """Return the rows of a JSON document in one of these orders, and which it is; None where it is in none."""
    if not isinstance(value, Mapping):
        return None
    return _wrapped_rows(value) or _columns_with_names(value) or _parts_below_intent(value)


def _wrapped_rows(value: Mapping[str, Any]) -> tuple[Rows, str] | None:
    """Read what the server of Hugging Face's data sets answers: `{"features": […], "rows": [{"row": {…}}]}`."""
    rows, features = value.get("rows"), value.get("features")
    if not isinstance(rows, list) or not isinstance(features, list) or not rows:
        return None
    if not all(isinstance(one, Mapping) and isinstance(one.get("row"), Mapping) for one in rows):
        return None
    called = {
        str(one.get("name")): names
        for one in features
        if isinstance(one, Mapping) and (names := class_names(one.get("type")))
    }
    found = [
        {
            key: called[key][cell] if key in called and type(cell) is int and 0 <= cell < len(called[key]) else cell
            for key, cell in one["row"].items()
        }
        for one in rows
    ]  # fmt: skip
    return found, "its rows stand in `row`, as the server of Hugging Face's data sets gives them"


def _columns_with_names(value: Mapping[str, Any]) -> tuple[Rows, str] | None:
    """Read lists that are columns beside a shorter one that names their numbers, as scikit-learn keeps a data set."""
    lists = {key: one for key, one in value.items() if isinstance(one, list)}
    longest = max((len(one) for one in lists.values()), default=0)
    columns = {key: one for key, one in lists.items() if len(one) == longest}
    shorter = [one for one in lists.values() if len(one) < longest and texts(one)]
    if len(columns) < 2 or longest < FEWEST or len(lists) == len(columns):
        return None
    worded = [key for key, one in columns.items() if texts(one)]
    coded = [key for key, one in columns.items() if all(type(code) is int for code in one)]
    if not worded or len(coded) != 1 or len(shorter) != 1:
        return None
    label, names = coded[0], shorter[0]
    if not all(0 <= code < len(names) for code in columns[label]):
        return None
    # The files that scikit-learn read them from are no texts.
    kept = [key for key in columns if key != "filenames"]
    rows = [
        {key: names[columns[key][at]] if key == label else columns[key][at] for key in kept}
        for at in range(longest)
    ]
    return rows, f"it holds a list for each column, and the names of `{label}`"


def _parts_below_intent(value: Mapping[str, Any]) -> tuple[Rows, str] | None:
    """Read SNIPS' examples: `{"PlayMusic": [{"data": [{"text": "play "}, {"text": "jazz", "entity": "genre"}]}]}`."""
    below = [item for one in value.values() if isinstance(one, list) for item in one]
    if not below or not all(_has_parts(item) for item in below):
        return None
    rows = [
        {**marked_text(map(_part, example["data"])), "label": label}
        for label, examples in value.items()
        for example in (examples if isinstance(examples, list) else [])
    ]
    return rows, "what people say stands in parts below its intent, as SNIPS writes it"


def _part(part: Mapping[str, Any]) -> tuple[str, str]:
    return str(part["text"]), str(part.get("entity", part.get("slot_name")) or "")


def _has_parts(item: object) -> bool:
    parts = item.get("data") if isinstance(item, Mapping) else None
    return isinstance(parts, list) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in parts
    )
