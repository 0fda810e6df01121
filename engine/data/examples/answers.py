"""Answers that are objects: read whole from a column, or put together from several columns."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.data.examples.label import NUMBER
from engine.data.examples.template import MissingColumnError, found_at, lookup
from engine.data.kinds.base import RejectedError
from engine.data.reading.row import excerpt
from engine.recipe.answer_json import read_object, resolved
from engine.recipe.model import Json

Values = Mapping[str, Any]

_WORDS: Final = {"true": True, "false": False}


def read_answer_object(values: Values, column: str) -> dict[str, Any] | None:
    """Return the object in a column, or that its text holds; None for null and blank text.

    `MissingColumnError`, or RejectedError (`schema_violations`) for anything that is no object.
    """
    value = lookup(values, column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, Mapping):
        return dict(value)
    found = read_object(value) if isinstance(value, str) else None
    if found is None:
        what = f"has an answer that is not a JSON object: `{excerpt(str(value))}`"
        raise RejectedError("schema_violations", what)
    return found


def read_fields(values: Values, fields: Sequence[tuple[str, str]], schema: Json) -> dict[str, Any]:
    """Return the object of the fields that have a value in this row.

    Files of records leave columns out where they have nothing to say, so a column may be missing;
    `MissingColumnError` when every one is. Texts of numbers and truth values become such where the
    schema asks for them and a text would not do.
    """
    found = {field: found_at(values, column, _MISSING) for field, column in fields}
    if all(value is _MISSING for value in found.values()):
        raise MissingColumnError(fields[0][1])
    return {
        field: fitted(value, schema_of_field(schema, field), root=schema)
        for field, value in found.items()
        if not _is_nothing(value)
    }


_MISSING: Final = object()


def _is_nothing(value: object) -> bool:
    """Tell whether there is no value: a missing column, null, NaN or a blank text."""
    if value is _MISSING or value is None or value != value:  # noqa: PLR0124 - NaN alone
        return True
    return isinstance(value, str) and not value.strip()


def schema_of_field(schema: Json, field: str) -> Json:
    """Return what the schema says about a field of its object; None for nothing."""
    whole = resolved(schema, schema)
    properties = whole.get("properties")
    if isinstance(properties, dict) and field in properties:
        return properties[field]
    return whole.get("additionalProperties")


def types_of(schema: Json, root: Json) -> tuple[str, ...]:
    """Return the JSON types that a schema names; empty where it names none."""
    named = resolved(schema, root).get("type", [])
    return tuple(str(name) for name in ([named] if isinstance(named, str) else named or []))  # type: ignore[union-attr]


def fitted(value: object, schema: Json, *, root: Json) -> object:
    """Return a value in the type that the schema asks for, where its text says it exactly."""
    types = types_of(schema, root)
    # A single value in its column stands for a list of one item.
    if "array" in types and not isinstance(value, list):
        return [fitted(value, resolved(schema, root).get("items"), root=root)]
    # Where the schema also allows text, `007` may be a code and must not become the number 7.
    if not isinstance(value, str) or "string" in types:
        return value
    text = value.strip()
    if "boolean" in types and text in _WORDS:
        return _WORDS[text]
    if {"integer", "number"} & set(types) and NUMBER.fullmatch(text):
        return _number(text)
    return value


def _number(text: str) -> int | float | str:
    """Return the number a text writes as JSON does; the text itself where it writes none of usual size."""
    try:
        found: int | float = json.loads(text)
    except ValueError:
        return text
    # `1e999` parses to infinity, which JSON cannot write back.
    return found if math.isfinite(found) else text
