"""Whether evidence that was read back holds values of the types that its classes say: others may have written it."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints


def mistyped(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each field of a dataclass, or below it, whose value has another type, or is no number."""
    hints = _hints(value.__class__)
    for one in fields(value):
        at = f"{path}.{one.name}" if path else one.name
        yield from _wrong(getattr(value, one.name), hints[one.name], at)


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _wrong(value: Any, kind: Any, path: str) -> Iterator[str]:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return
    if origin in (types.UnionType, Union):
        if all(next(_wrong(value, one, path), None) is not None for one in inner):
            yield from _first(value, inner, path)
    elif origin in (tuple, list, dict, Mapping):
        yield from _wrong_inside(value, origin, inner, path)
    elif not _is(value, kind):
        yield path
    elif is_dataclass(value):
        yield from mistyped(value, path)


def _first(value: Any, kinds: tuple[Any, ...], path: str) -> Iterator[str]:
    """Yield what is wrong inside of the dataclass that a union allows; the path itself for anything else."""
    fitting = [kind for kind in kinds if isinstance(kind, type) and isinstance(value, kind)]
    if fitting and is_dataclass(value):
        yield from mistyped(value, path)
    else:
        yield path


def _wrong_inside(
    value: Any,
    origin: Any,
    inner: tuple[Any, ...],
    path: str,
) -> Iterator[str]:
    wanted = dict if origin is Mapping else origin
    if not isinstance(value, wanted):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _wrong(key, inner[0], path)
            yield from _wrong(item, inner[1], f"{path}.{key}")
    elif origin is tuple and inner[-1] is not Ellipsis:
        if len(value) != len(inner):
            yield path
        else:
            for place, item in enumerate(value):
                yield from _wrong(item, inner[place], f"{path}[{place}]")
    else:
        for place, item in enumerate(value):
            yield from _wrong(item, inner[0], f"{path}[{place}]")


def _is(value: Any, kind: Any) -> bool:
    if kind is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and _is_finite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is None or kind is type(None):
        return value is None
    if kind is str:
        return isinstance(value, str) and not isinstance(value, Enum)
    return isinstance(value, kind)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
