"""Dataclasses as JSON and back: a value that was read has the types of its class, whoever wrote the file.

The one reader of reports, locks and results in the store. Classes need no code of their own: a field without a
default must be there, one with a default may be missing (files of older versions lack it), one whose metadata say
`formerly` may have that name, any other is an error.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, asdict, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import (
    Annotated,
    Any,
    NotRequired,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

SHOWN = 60
"""Characters of a wrong value that a message shows."""


class JsonTypeError(ValueError):
    """JSON data that does not fit its class; the message names the place: "`splits.train.rows` is -1"."""


def is_not_negative(value: float) -> bool:
    """Whether a number counts something."""
    return value >= 0


def is_time(value: str) -> bool:
    """Whether a text is a moment in ISO 8601 with its offset from UTC."""
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


Count = Annotated[int, is_not_negative]
Time = Annotated[str, is_time]
Scalar = str | int | float | None


def to_json(value: Any) -> Any:
    """Plain JSON data of a dataclass, fields in their order."""
    return asdict(value)


def from_json[T](kind: type[T], data: object, path: str = "") -> T:
    """Return the value of a dataclass, or of a tuple, list or mapping of them, that `to_json` made into `data`.

    `path` is where the data stands, for messages. Integers stay integers where the class says float: what is written
    again must be the same bytes.

    Raises:
        JsonTypeError: a field is missing, unknown, or of another type; the first one is named.

    """
    return cast("T", _read(kind, data, path))


def _read(kind: Any, data: Any, path: str) -> Any:
    if kind is Any:
        return data
    if get_origin(kind) is not None:
        return _read_generic(get_origin(kind), get_args(kind), data, path)
    if (is_dataclass(kind) or is_typeddict(kind)) and isinstance(data, dict):
        return _read_fields(kind, data, path)
    # by value: the name of a member may change, files hold its value
    if isinstance(kind, type) and issubclass(kind, Enum) and data in list(kind):
        return kind(data)
    if kind in _SCALARS and _SCALARS[kind](data):
        return data
    raise _wrong(data, path)


def _read_generic(origin: Any, inner: tuple[Any, ...], data: Any, path: str) -> Any:
    if origin is NotRequired:
        return _read(inner[0], data, path)
    if origin is Annotated:
        value = _read(inner[0], data, path)
        if not all(condition(value) for condition in inner[1:]):
            raise _wrong(value, path)
        return value
    if origin in (types.UnionType, Union):
        return _read_union(inner, data, path)
    if origin in (dict, Mapping) and isinstance(data, dict):
        return {
            _read(inner[0], key, path): _read(inner[1], data[key], _at(path, key)) for key in data
        }
    if origin in (tuple, list) and isinstance(data, list | tuple):
        return origin(_read_items(origin, inner, data, path))
    raise _wrong(data, path)


def _read_union(kinds: tuple[Any, ...], data: Any, path: str) -> Any:
    if data is None and types.NoneType in kinds:
        return None
    others = [kind for kind in kinds if kind is not types.NoneType]
    for kind in others[:-1]:
        with suppress(JsonTypeError):
            return _read(kind, data, path)
    # outside of the loop: where no kind fits, the error that is shown is that of the last one
    return _read(others[-1], data, path)


def _read_items(origin: Any, inner: tuple[Any, ...], data: Any, path: str) -> list[Any]:
    has_one_each = origin is tuple and inner[-1] is not Ellipsis
    kinds = inner if has_one_each else (inner[0],) * len(data)
    if len(kinds) != len(data):
        raise _wrong(data, path)
    pairs = zip(kinds, data, strict=True)
    return [_read(kind, item, _at(path, index)) for index, (kind, item) in enumerate(pairs)]


def _read_fields(kind: Any, data: dict[str, Any], path: str) -> Any:
    hints, required = _hints(kind), _required(kind)
    if former := _former_names(kind):
        data = {former.get(name, name): value for name, value in data.items()}
    found: dict[str, Any] = {}
    for name, hint in hints.items():
        if name in data:
            found[name] = _read(hint, data[name], _at(path, name))
        elif name in required:
            raise JsonTypeError(f"`{_at(path, name)}` is missing")
    if is_typeddict(kind):
        # keys beside those of the class are kept: sources, for one, have pins of their own
        return {**data, **found}
    if unknown := data.keys() - hints.keys():
        raise JsonTypeError(f"`{_at(path, min(unknown))}` is unknown")
    return kind(**found)


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


@cache
def _former_names(kind: Any) -> Mapping[str, str]:
    """Return the fields by the names that files of older versions have for them."""
    named = (
        ((one.metadata.get("formerly"), one.name) for one in fields(kind))
        if is_dataclass(kind)
        else ()
    )
    return {former: name for former, name in named if former}


@cache
def _required(kind: Any) -> frozenset[str]:
    if is_typeddict(kind):
        # not `__required_keys__`: it takes no notice of `NotRequired` in annotations that are texts
        return frozenset(
            name for name, hint in _hints(kind).items() if get_origin(hint) is not NotRequired
        )
    return frozenset(
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    )


def _is_text(data: Any) -> bool:
    try:
        return isinstance(data, str) and data.encode() is not None
    except UnicodeEncodeError:  # half of a surrogate pair, which no file can hold
        return False


def _is_integer(data: Any) -> bool:
    # Python's `True` is an int; JSON's `true` is no number
    return isinstance(data, int) and not isinstance(data, bool)


def _is_number(data: Any) -> bool:
    try:
        return (isinstance(data, float) or _is_integer(data)) and math.isfinite(float(data))
    # JSON's integers have any length, floats do not
    except OverflowError:
        return False


_SCALARS: Mapping[Any, Callable[[Any], bool]] = {
    str: _is_text,
    int: _is_integer,
    float: _is_number,
    bool: lambda data: isinstance(data, bool),
    types.NoneType: lambda data: data is None,
}


def _at(path: str, name: str | int) -> str:
    shown = brief_text(str(name))
    return f"{path}.{shown}" if path else shown


def _wrong(data: Any, path: str) -> JsonTypeError:
    return JsonTypeError(f"`{path}` is {brief(data)}" if path else f"it is {brief(data)}")


def brief(value: Any) -> str:
    """Return a value as a message may show it: in ASCII, on one line, and not long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > SHOWN:
        return "a number too large"
    return brief_text(json.dumps(value))


def brief_text(text: str) -> str:
    """Return a text without what a terminal acts on, and not long."""
    # names of fields and numbers of items: what nearly every text is, asked for each value that is read
    if len(text) <= SHOWN and text.isascii() and text.replace("_", "").isalnum():
        return text
    plain = json.dumps(text)[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return plain if len(plain) <= SHOWN else f"{plain[:SHOWN]}…"
