"""Answers that are JSON objects: read strictly, written in one way."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, cast

from engine.recipe.model import Json
from engine.recipe.patterns import schema_at

_MOST_HOPS = 20
"""References followed from one place of a schema; more is a circle."""


def read_object(text: str) -> dict[str, Any] | None:
    """Return the object that `text` is, or None: for other JSON, repeated keys, NaN and prose.

    None too for a number that no float holds, such as 1e999: it could not be written again.
    """
    try:
        # Left to itself, Python's json keeps the last of repeated keys, and reads NaN and Infinity.
        value = json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    # A model may open brackets without end: json.loads answers that with RecursionError.
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write_object(value: Mapping[str, Any], schema: Json) -> str:
    """Return compact JSON, keys in the order of the schema's properties, others behind them.

    Equal objects give equal texts where the schema names their keys. `TypeError` or `ValueError`
    for values that JSON does not have, such as dates and NaN.
    """
    ordered = _ordered(dict(value), schema, root=schema)
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _ordered(value: Any, schema: Json, *, root: Json) -> Any:
    at = resolved(schema, root)
    if isinstance(value, list):
        items = at.get("items")
        return [_ordered(item, items, root=root) for item in value]
    if not isinstance(value, dict):
        return value
    properties = cast("dict[str, Json]", at.get("properties") or {})
    keys = [key for key in properties if key in value]
    keys += [key for key in value if key not in properties]
    return {key: _ordered(value[key], properties.get(key), root=root) for key in keys}


def resolved(schema: Json, root: Json) -> dict[str, Json]:
    """Return the schema behind local references; an empty one where there is none."""
    for _ in range(_MOST_HOPS):
        if not isinstance(schema, dict):
            return {}
        ref = schema.get("$ref")
        if not isinstance(ref, str):
            return schema
        schema = schema_at(root, ref)
    return {}


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written} is beyond the numbers of usual size")
    return number


def strings(value: Any) -> Iterator[str]:
    """Yield the strings in a JSON value, keys of objects left out, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)
