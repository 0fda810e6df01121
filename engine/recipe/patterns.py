"""Regular expressions and schemas that somebody else wrote: as JSON Schema means them, and within a time.

Python's `re` is kept, so that no result changes with the engine; what it lacks is a clock. One is set around each use.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from engine.errors import DataError
from engine.process.limits import TooSlowError, processor_time

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SECONDS: Final = 5.0
"""Of processor time for one text; what an expression without nested repeats needs is thousandths of it."""
UNREADABLE: Final = (re.error, OverflowError, RecursionError)
"""What `re.compile` raises: OverflowError for a count beyond 32 bits, RecursionError for groups 1,000 deep."""
_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*(?:\]|\Z)|\$", re.DOTALL)
"""An escape, a set of characters (one that is not closed, too: it is read once), or the end of the text."""

MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords of JSON Schema below which schemas stand by name."""
LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE: Final = (
    *("items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"),
    *("contains", "propertyNames", "not", "if", "then", "else"),
)


@contextmanager
def in_time(key: str, what: str) -> Iterator[None]:
    """Hold `what` against what the recipe says at `key`; DataError D425 where that takes too long or never ends."""
    try:
        with processor_time(SECONDS):
            yield
    except (TooSlowError, RecursionError) as error:
        message = f"refers to itself without end on {what}"
        hint = "write `$ref` below a property or an item only"
        if isinstance(error, TooSlowError):
            message = f"takes more than {SECONDS:g} s on {what}"
            hint = "write patterns without repeats inside repeats: `a+` for `(a+)+`"
        raise DataError.one("D425", message, path=key, hint=hint) from error


def compiled(pattern: str) -> re.Pattern[str]:
    """Return an expression ready to be used; one of UNREADABLE where it cannot be read.

    That Python may read a set such as `[[a]` otherwise one day is no warning for a terminal.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(pattern)


def validator(schema: Mapping[str, Any] | bool) -> Draft202012Validator:  # noqa: FBT001 - a JSON Schema may be one
    """Return what checks values against a schema; no reference is ever fetched, and a `$` is the end of the text."""
    from jsonschema import Draft202012Validator, validators  # tens of milliseconds
    from referencing import Registry  # comes with jsonschema

    compared = Draft202012Validator.VALIDATORS["uniqueItems"]

    def unique_items(checker: Any, wanted: Any, items: Any, words: Any) -> Any:
        # Each mapping of a list is compared with every other: not of a list that is too long anyway.
        is_short = not isinstance(items, list) or len(items) <= words.get("maxItems", len(items))
        yield from compared(checker, wanted, items, words) or () if is_short else ()

    bounded: type[Draft202012Validator] = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"uniqueItems": unique_items}
    )
    # With a registry of nothing: the usual one fetches what a `$ref` names from the network.
    return bounded(with_python_patterns(schema), registry=Registry())


def with_python_patterns(schema: Any) -> Any:
    """Return a schema with its patterns as Python reads them.

    In JSON Schema `$` is the end of the text; in Python it also stands before a last line break.
    """
    if not isinstance(schema, Mapping):
        return schema
    return {word: _python(word, below) for word, below in schema.items()}


def _python(word: str, below: Any) -> Any:
    if word == "pattern" and isinstance(below, str):
        return python_pattern(below)
    # The keys below are names of the author's: a field called `pattern` holds a schema, no
    # expression.
    if word in MAPS and isinstance(below, Mapping):
        name = python_pattern if word == "patternProperties" else str
        return {name(key): with_python_patterns(one) for key, one in below.items()}
    if word in LISTS and isinstance(below, list):
        return [with_python_patterns(one) for one in below]
    return with_python_patterns(below) if word in SINGLE else below


def at_pointer(root: Any, reference: str) -> Any:
    """Return what a reference such as `#/$defs/address` leads to (RFC 6901); None where there is nothing."""
    found = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    return found


def python_pattern(pattern: str) -> str:
    """Return a `pattern` of JSON Schema as Python's `re` reads it."""
    return _TOKEN.sub(lambda found: r"\Z" if found[0] == "$" else found[0], pattern)
