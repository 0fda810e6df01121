"""Regular expressions and schemas of others: with JSON Schema's meaning, and within a time limit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from engine.errors import DataError
from engine.process.limits import TooSlowError, processor_time

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SECONDS: Final = 5.0
"""Processor time for one text; an expression without nested repeats needs thousandths of it."""
UNREADABLE: Final = (re.error, OverflowError, RecursionError)
"""Errors of `re.compile`: OverflowError for a count beyond 32 bits, RecursionError for groups 1,000 deep."""
_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*(?:\]|\Z)|\$", re.DOTALL)
"""An escape, a set of characters (also an open one, which is read once), or the end of the text."""
_MOST_DIGITS: Final = 10
_MOST_HOPS: Final = 20
"""References followed from one place of a schema; more is a circle."""
MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords of JSON Schema with schemas by name."""
LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE: Final = (
    *("items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"),
    *("contains", "propertyNames", "not", "if", "then", "else"),
)


@contextmanager
def in_time(key: str, what: str) -> Iterator[None]:
    """Limit the check of `what` against the recipe's `key`; DataError D425 if a text takes long."""
    try:
        with processor_time(SECONDS):
            yield
    except (TooSlowError, RecursionError) as error:
        message = f"refers to itself without end on {what}"
        hint = "write `$ref` below a property or an item only"
        if isinstance(error, TooSlowError):
            message = f"takes {str(error) or f'more than {SECONDS:g} s on {what}'}"
            hint = "write patterns without repeats inside repeats: `a+` for `(a+)+`"
        raise DataError.one("D425", message, path=key, hint=hint) from error


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a compiled expression; one of UNREADABLE if it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(pattern)


def validator(schema: Mapping[str, Any] | bool) -> Draft202012Validator:  # noqa: FBT001 - a JSON Schema may be one
    """Return a validator of a schema; it never fetches a reference, and `$` is the end of the text."""
    from jsonschema import Draft202012Validator, validators  # tens of milliseconds
    from referencing import Registry  # comes with jsonschema

    compared = Draft202012Validator.VALIDATORS["uniqueItems"]

    def unique_items(checker: Any, wanted: Any, items: Any, words: Any) -> Any:
        # Each mapping of a list is compared with every other. A list that is too long is refused anyway.
        is_short = not isinstance(items, list) or len(items) <= words.get("maxItems", len(items))
        yield from compared(checker, wanted, items, words) or () if is_short else ()

    bounded: type[Draft202012Validator] = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"uniqueItems": unique_items}
    )
    # The default registry fetches references from the network; an empty one does not.
    return bounded(with_python_patterns(schema), registry=Registry())


def with_python_patterns(schema: Any) -> Any:
    """Return a schema with its patterns for Python, where `$` also matches before a last line break."""
    if not isinstance(schema, Mapping):
        return schema

    def converted(word: str, below: Any) -> Any:
        if word == "pattern" and isinstance(below, str):
            return python_pattern(below)
        # The keys below are the author's names: a field called `pattern` has a schema, no expression.
        if word in MAPS and isinstance(below, Mapping):
            name = python_pattern if word == "patternProperties" else str
            return {name(key): with_python_patterns(part) for key, part in below.items()}
        if word in LISTS and isinstance(below, list):
            return [with_python_patterns(part) for part in below]
        return with_python_patterns(below) if word in SINGLE else below

    return {word: converted(word, below) for word, below in schema.items()}


def resolved(schema: Any, root: Any) -> Mapping[str, Any]:
    """Return a schema with its references followed; empty for a circle, and for what is no mapping."""
    for _ in range(_MOST_HOPS):
        if not isinstance(schema, Mapping):
            break
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        schema = schema_at(root, reference)
    return {}


def schema_at(root: Any, reference: str) -> Any:
    """Return the schema at a reference such as `#/$defs/address` (RFC 6901); None where there is none."""
    node, inner = root, ""
    for part in unquote(reference).removeprefix("#").split("/")[1:]:
        # `~01`, which is `~1`, would become `/` in the other order.
        name = part.replace("~1", "/").replace("~0", "~")
        if inner in LISTS:
            is_number = name.isascii() and name.isdecimal() and len(name) < _MOST_DIGITS
            is_there = isinstance(node, list) and is_number and int(name) < len(node)
            node, inner = node[int(name)] if is_there else None, ""
        elif inner:
            node, inner = node.get(name) if isinstance(node, Mapping) else None, ""
        else:
            inner = name if name in (*MAPS, *LISTS) else ""
            is_word = bool(inner) or name in SINGLE
            node = node.get(name) if is_word and isinstance(node, Mapping) else None
    return node if not inner and isinstance(node, Mapping | bool) else None


def python_pattern(pattern: str) -> str:
    return _TOKEN.sub(lambda match: r"\Z" if match[0] == "$" else match[0], pattern)
