"""Keys: the sha256 of what was asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from engine.values import Value, fields


class StageKey(Value):
    """A digest and the payload that was hashed, kept to explain why a key changed."""

    digest: str
    """64 hex digits."""
    payload: Mapping[str, Any]


def make_key(payload: Mapping[str, Any]) -> StageKey:
    """The key of a payload of JSON data, dataclasses and tuples; paths are refused, they say nothing of content."""
    plain = _plain(payload)
    digest = hashlib.sha256(canonical_json(plain).encode()).hexdigest()
    return StageKey(digest=digest, payload=plain)


def product_key(name: str, payload: Mapping[str, Any]) -> StageKey:
    """The key of an inner product; it depends on its payload alone, whichever stage asks for it."""
    # wrapped, so that no stage's own payload can have the key of a product
    return make_key({"product": name, "payload": payload})


def canonical_json(value: Any) -> str:
    """Sorted keys, no white space, UTF-8, floats by `repr`; NaN is refused."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


_SCALARS = (str, int, float, bool, type(None))


def _plain(value: Any) -> Any:
    if type(value) in _SCALARS:  # most values; the questions below are slow
        return value
    if isinstance(value, Value):
        # A key that older recipes could not have, and that is not written, is no part of what was asked.
        unwritten = getattr(value, "UNWRITTEN", ())
        return {
            field.name: _plain(getattr(value, field.name))
            for field in fields(value)
            if not (field.name in unwritten and getattr(value, field.name) == field.default)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, PurePath):
        raise TypeError(f"a path cannot be part of a key: {value.name}")
    return value
