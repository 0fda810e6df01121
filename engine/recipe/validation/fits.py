"""Whether a value fits a schema of the engine's own, without a word about why not.

Importing jsonschema takes a third of `recipe validate`; it is asked for the errors of what does not fit. The tables
hold the words that these schemas use, each as JSON Schema (2020-12) means it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any, Final

from engine.recipe.patterns import python_pattern, schema_at

Schema = Mapping[str, Any]
Fits = Callable[[Any, Schema], bool]
Check = Callable[[Any, Any, Fits, Schema], bool]
"""Takes a value, what the schema says beside the word, what checks values further down, and the schema."""


def fits(value: Any, schema: Schema) -> bool:
    """Tell whether a value has no error."""

    def fit(value: Any, below: Schema) -> bool:
        checks = _checks(value)
        return all(
            checks[word](value, wanted, fit, below)
            for word, wanted in below.items()
            if word in checks
        ) and ("$ref" not in below or fit(value, schema_at(schema, below["$ref"])))

    return fit(value, schema)


def _checks(value: Any) -> Mapping[str, Check]:
    if isinstance(value, bool):
        return OF_ANY
    kinds = ((dict, OF_MAPPINGS), (list, OF_LISTS), (str, OF_TEXTS), (int | float, OF_NUMBERS))
    return next((checks for kind, checks in kinds if isinstance(value, kind)), OF_ANY)


def _has_type(value: Any, wanted: str | list[str], *_: object) -> bool:
    if isinstance(wanted, list):
        return any(_has_type(value, one) for one in wanted)
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, TYPES[wanted])


TYPES: Final = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "number": int | float,
    "object": dict,
    "string": str,
}


def _is_same(one: Any, other: Any) -> bool:
    """Compare as JSON does, where `true` is not 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _are_different(items: list[Any], wanted: object, _: Fits, schema: Schema) -> bool:
    # as `engine.recipe.patterns.validator` does: more than may be there are not compared
    if not wanted or len(items) > schema.get("maxItems", len(items)):
        return True
    if all(isinstance(one, str) for one in items):
        return len(set(items)) == len(items)
    return not any(_is_same(one, other) for one, other in combinations(items, 2))


def _fit_others(value: dict[str, Any], wanted: Any, fit: Fits, schema: Schema) -> bool:
    others = [below for key, below in value.items() if key not in schema.get("properties", ())]
    if isinstance(wanted, bool):
        return wanted or not others
    return all(fit(one, wanted) for one in others)


OF_ANY: Final[Mapping[str, Check]] = {
    "anyOf": lambda value, forms, fit, _: any(fit(value, one) for one in forms),
    "const": lambda value, wanted, *_: _is_same(value, wanted),
    "enum": lambda value, wanted, *_: any(_is_same(value, one) for one in wanted),
    "not": lambda value, wanted, fit, _: not fit(value, wanted),
    "oneOf": lambda value, forms, fit, _: sum(fit(value, one) for one in forms) == 1,
    "type": _has_type,
}
OF_MAPPINGS: Final[Mapping[str, Check]] = {
    **OF_ANY,
    "additionalProperties": _fit_others,
    "dependentRequired": lambda value, wanted, *_: all(
        value.keys() >= {*names} for key, names in wanted.items() if key in value
    ),
    "dependentSchemas": lambda value, wanted, fit, _: all(
        fit(value, below) for key, below in wanted.items() if key in value
    ),
    "maxProperties": lambda value, most, *_: len(value) <= most,
    "minProperties": lambda value, least, *_: len(value) >= least,
    "properties": lambda value, wanted, fit, _: all(
        fit(value[key], below) for key, below in wanted.items() if key in value
    ),
    "propertyNames": lambda value, wanted, fit, _: all(fit(key, wanted) for key in value),
    "required": lambda value, names, *_: value.keys() >= {*names},
}
OF_LISTS: Final[Mapping[str, Check]] = {
    **OF_ANY,
    "items": lambda value, wanted, fit, _: all(fit(one, wanted) for one in value),
    "maxItems": lambda value, most, *_: len(value) <= most,
    "minItems": lambda value, least, *_: len(value) >= least,
    "uniqueItems": _are_different,
}
OF_TEXTS: Final[Mapping[str, Check]] = {
    **OF_ANY,
    "maxLength": lambda value, most, *_: len(value) <= most,
    "minLength": lambda value, least, *_: len(value) >= least,
    "pattern": lambda value, wanted, *_: bool(re.search(python_pattern(wanted), value)),
}
# So that NaN, which is neither less nor more, has no error.
OF_NUMBERS: Final[Mapping[str, Check]] = {
    **OF_ANY,
    "exclusiveMaximum": lambda value, end, *_: not value >= end,
    "exclusiveMinimum": lambda value, end, *_: not value <= end,
    "maximum": lambda value, most, *_: not value > most,
    "minimum": lambda value, least, *_: not value < least,
}
