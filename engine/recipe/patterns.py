"""Regular expressions and schemas that somebody else wrote: as JSON Schema means them, and within a time."""

from __future__ import annotations

import re
import time
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
"""Of processor time for one text; what an expression without nested repeats needs is thousandths of it."""
TOGETHER: Final = 15.0
"""Of processor time for all texts, from which each is asked how long it took."""
USUAL: Final = 0.02
"""Of processor time for one text of many, at most; a large object takes a thousandth."""
_SPENT: Final[dict[str, tuple[int, float]]] = {}
UNREADABLE: Final = (re.error, OverflowError, RecursionError)
"""What `re.compile` raises: OverflowError for a count beyond 32 bits, RecursionError for groups 1,000 deep."""
_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*(?:\]|\Z)|\$", re.DOTALL)
"""An escape, a set of characters (one that is not closed, too: it is read once), or the end of the text."""

_DIGITS: Final = 10
"""Of a place in a list."""

MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords of JSON Schema below which schemas stand by name."""
LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE: Final = (
    *("items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"),
    *("contains", "propertyNames", "not", "if", "then", "else"),
)


@contextmanager
def in_time(key: str, what: str) -> Iterator[None]:
    """Hold `what` against what the recipe says at `key`; DataError D425 where one text, or all of them, take long."""
    begun = time.process_time()
    try:
        with processor_time(SECONDS):
            yield
            _spend(key, time.process_time() - begun)
    except (TooSlowError, RecursionError) as error:
        message = f"refers to itself without end on {what}"
        hint = "write `$ref` below a property or an item only"
        if isinstance(error, TooSlowError):
            message = f"takes {str(error) or f'more than {SECONDS:g} s on {what}'}"
            hint = "write patterns without repeats inside repeats: `a+` for `(a+)+`"
        raise DataError.one("D425", message, path=key, hint=hint) from error


def _spend(key: str, seconds: float) -> None:
    """Count what was spent on a text. TooSlowError where all of them took long, and each a long time for what it is."""
    count, spent = _SPENT.get(key, (0, 0.0))
    _SPENT[key] = count, spent = count + 1, spent + seconds
    if spent > TOGETHER and spent > count * USUAL:
        raise TooSlowError(f"{spent:.0f} s on {count:,} texts")


def compiled(pattern: str) -> re.Pattern[str]:
    """Return an expression ready to be used; one of UNREADABLE where it cannot be read."""
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
    """Return a schema with its patterns as Python reads them, where `$` also stands before a last line break."""
    if not isinstance(schema, Mapping):
        return schema
    return {word: _python(word, below) for word, below in schema.items()}


def _python(word: str, below: Any) -> Any:
    if word == "pattern" and isinstance(below, str):
        return python_pattern(below)
    # The keys below are names of the author's: a field called `pattern` holds a schema, no expression.
    if word in MAPS and isinstance(below, Mapping):
        name = python_pattern if word == "patternProperties" else str
        return {name(key): with_python_patterns(one) for key, one in below.items()}
    if word in LISTS and isinstance(below, list):
        return [with_python_patterns(one) for one in below]
    return with_python_patterns(below) if word in SINGLE else below


def schema_at(root: Any, reference: str) -> Any:
    """Return the schema that a reference such as `#/$defs/address` leads to (RFC 6901); None where there is none."""
    found, inner = root, ""
    for part in unquote(reference).removeprefix("#").split("/")[1:]:
        # `~01`, which is `~1`, would become `/` in the other order
        name = part.replace("~1", "/").replace("~0", "~")
        if inner in LISTS:
            is_there = isinstance(found, list) and _is_place(name, found)
            found, inner = found[int(name)] if is_there else None, ""
        elif inner:
            found, inner = found.get(name) if isinstance(found, Mapping) else None, ""
        else:
            inner = name if name in (*MAPS, *LISTS) else ""
            is_word = bool(inner) or name in SINGLE
            found = found.get(name) if is_word and isinstance(found, Mapping) else None
    return found if not inner and isinstance(found, Mapping | bool) else None


def _is_place(name: str, items: list[Any]) -> bool:
    return name.isascii() and name.isdecimal() and len(name) < _DIGITS and int(name) < len(items)


def python_pattern(pattern: str) -> str:
    return _TOKEN.sub(lambda found: r"\Z" if found[0] == "$" else found[0], pattern)
