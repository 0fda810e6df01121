"""Whether JSON that somebody else may have written has the types that its readers rely on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LONGEST = 60
"""Characters of a wrong value that a message shows."""


@dataclass(frozen=True, slots=True)
class Each:
    """A mapping with any keys, each of whose values has the type."""

    of: Type


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, each of whose items has the type."""

    of: Type


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with at least these fields."""

    of: Mapping[str, Type]


Type = Callable[[Any], bool] | Each | ListOf | Fields


def is_text(value: Any) -> bool:
    """Whether it is a text that can be written as UTF-8."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def is_text_or_none(value: Any) -> bool:
    """Whether it is a text, or null."""
    return value is None or is_text(value)


def is_count(value: Any) -> bool:
    """Whether it is a whole number that is not negative."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_number(value: Any) -> bool:
    """Whether it is a number that can be computed with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def is_number_or_none(value: Any) -> bool:
    """Whether it is such a number, or null."""
    return value is None or is_number(value)


def is_scalar(value: Any) -> bool:
    """Whether it is a text, a number or null."""
    return is_number_or_none(value) or is_text(value)


def is_time(value: Any) -> bool:
    """Whether it is a moment in ISO 8601 with its offset from UTC."""
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def mistyped(value: Any, kind: Type, path: str) -> Iterator[str]:
    """Yield what has another type than `kind`, as `path` and the value; a field that is missing too."""
    match kind:
        case Each(of) | ListOf(of):
            wanted = dict if isinstance(kind, Each) else list
            if not isinstance(value, wanted):
                yield f"`{path}` is {brief(value)}"
                return
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                yield from mistyped(item, of, f"{path}.{brief_text(str(key))}")
        case Fields(of):
            if not isinstance(value, dict):
                yield f"`{path}` is {brief(value)}"
                return
            for name, inner in of.items():
                at = f"{path}.{name}" if path else name
                if name in value:
                    yield from mistyped(value[name], inner, at)
                else:
                    yield f"`{at}` is missing"
        case _:
            if not kind(value):
                yield f"`{path}` is {brief(value)}"


def brief(value: Any) -> str:
    """Return a value as a message may show it: in ASCII, on one line, and not long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > LONGEST:
        return "a number too large"
    return brief_text(json.dumps(value))


def brief_text(text: str) -> str:
    """Return a text without what a terminal acts on, and not long."""
    plain = json.dumps(text)[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…"
