"""A section of a recipe as a value, and as the mapping that a file holds: both follow the fields of its dataclass.

A key of the schema is the field of the same name; what the two write in another way is given by the caller. A field's
annotation says how its value is written:

    int, float                    a number; `1` is 1.0 where a float is wanted
    a dataclass                   a mapping
    tuple[tuple[str, str], ...]   a mapping whose keys the user names, such as `relabel`
    tuple[a dataclass, ...]       a list of mappings; or a mapping by its first field, such as `over_baselines`
    tuple[str, ...]               a list
    anything else                 as it stands
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, get_args, get_origin, get_type_hints

from engine.recipe.validation.schema import Schema, expand
from engine.values import FieldInfo, Value, fields


def from_mapping[Section](kind: type[Section], written: Mapping[str, Any], **given: Any) -> Section:
    """Return the value of a checked section in which the schema's defaults are filled in.

    `given`: fields that no key of the same name says. A key that is absent is None, nothing, or the field's default.
    """
    values = dict(given)
    for field, hint in _fields(kind):
        if field.name in written and field.name not in given:
            values[field.name] = _read(hint, written[field.name])
        elif field.name not in given and field.required:
            values[field.name] = () if get_origin(hint) is tuple else None
    return kind(**values)


def to_mapping(value: Any, schema: Schema, **given: Any) -> dict[str, Any]:
    """Return the mapping that a file would hold for a section, every default explicit, in the schema's order.

    `given`: keys that no field of the same name says; None for one that is left out. A field that holds nothing is left
    out where the schema has no constant for that.
    """
    hints = {field.name: hint for field, hint in _fields(type(value))}
    found: dict[str, Any] = {}
    for name, below in expand(schema)["properties"].items():
        expanded = expand(below)
        if name in given:
            found[name] = given[name]
        elif name in hints:
            own = getattr(value, name)
            # What is empty, and has no constant for that in the schema, is left out.
            is_written = own not in (None, "", ()) or "default" in expanded
            found[name] = _write(own, hints[name], expanded) if is_written else None
    return {name: one for name, one in found.items() if one is not None}


def _fields_of(kind: Any) -> tuple[tuple[FieldInfo, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field, hints[field.name]) for field in fields(kind))


_fields: Callable[[Any], tuple[tuple[FieldInfo, Any], ...]] = lru_cache(maxsize=64)(_fields_of)
"""The fields of a dataclass, each with its annotation. Reading those takes most of the time, so it is done once."""


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Value)


def _read(hint: Any, written: Any) -> Any:
    if _is_section(hint):
        return from_mapping(hint, written)
    if hint in (int, float):
        return hint(written)
    if get_origin(hint) is not tuple:
        forms = get_args(hint)
        for form in forms:
            is_list = get_origin(form) is tuple and isinstance(written, list)
            is_section = _is_section(form) and isinstance(written, Mapping)
            # Only `float | None`, not `int | float | …`: of a split, 400 is rows and 0.4 a share, so
            # the type as written has to stay.
            is_number = form in (int, float) and forms == (form, type(None)) and written is not None
            if is_list or is_section or is_number:
                return _read(form, written)
        return written
    item = get_args(hint)[0]
    if isinstance(written, Mapping):
        return _read_named(item, written)
    return tuple(_read(item, one) for one in written)


def _read_named(item: Any, written: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a mapping whose keys the user names as pairs, or as values of which the first field is the name."""
    if not _is_section(item):
        return tuple(written.items())
    name = fields(item)[0].name
    return tuple(from_mapping(item, below, **{name: key}) for key, below in written.items())


def _write(value: Any, hint: Any, schema: Schema) -> Any:
    if isinstance(value, Value):
        return to_mapping(value, schema)
    if not isinstance(value, tuple):
        return value
    item = next(get_args(form)[0] for form in (hint, *get_args(hint)) if get_origin(form) is tuple)
    if get_origin(item) is tuple:
        return dict(value)
    if not _is_section(item):
        return list(value)
    if "items" in schema:
        return [to_mapping(one, schema["items"]) for one in value]
    name = fields(item)[0].name
    return {getattr(one, name): to_mapping(one, schema["additionalProperties"]) for one in value}
