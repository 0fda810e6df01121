"""A section of a recipe as a value, and as the mapping that a file holds: both follow the fields of its class.

A key of the schema is the field of the same name, or stands at a path (`PATHS`); what the two write in another way is
given by the caller, or by a function for the type. A field's annotation says how its value is written:

    int, float                    a number; `1` is 1.0 where a float is wanted
    a value                       a mapping
    tuple[tuple[str, str], ...]   a mapping whose keys the user names, such as `relabel`
    tuple[a value, ...]           a list of mappings; or a mapping by its first field, such as `over_baselines`
    tuple[str, ...]               a list
    anything else                 as it stands
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin, get_type_hints

from engine.recipe.validation.schema import Schema, expand
from engine.values import FieldInfo, Value, fields

Readers = Mapping[Any, Callable[[Any], Any]]
Writers = Mapping[Any, Callable[[Any], Any]]
PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "Acceptance.max_overfitting_gap": ("overfitting", "max_gap"),
    "Export.min_parity": ("parity", "agreement", "min"),
    "GeneralText.max_rise": ("bits_per_byte", "max_rise"),
    "Synthesize.agreement": ("keep", "agreement"),
    "Synthesize.max_share": ("keep", "max_share"),
    "SyntheticReview.max_wrong": ("wrong", "max"),
    "SyntheticReview.min_reviewed": ("reviewed", "min"),
    "Teacher.min_confidence": ("keep", "confidence", "min"),
}
"""Where in a section's mapping a field stands that is no key of it."""
_NONE: Final[Mapping[Any, Any]] = MappingProxyType({})


def from_mapping[Section](
    kind: type[Section], written: Mapping[str, Any], readers: Readers = _NONE, /, **given: Any
) -> Section:
    """Return the value of a checked section with defaults; `given` are fields that no key of the same name says."""
    values = dict(given)
    for field, hint in _fields(kind):
        found: Any = written
        for key in PATHS.get(f"{kind.__name__}.{field.name}", (field.name,)):
            found = found.get(key, _NONE) if isinstance(found, Mapping) else _NONE
        if field.name in given:
            continue
        if found is not _NONE:
            values[field.name] = _read(hint, found, readers)
        elif field.required:
            values[field.name] = () if get_origin(hint) is tuple else None
    return kind(**values)


def to_mapping(
    value: Any, schema: Schema, writers: Writers = _NONE, /, **given: Any
) -> dict[str, Any]:
    """Return the mapping that a file would hold for a section, every default explicit, in the schema's order.

    `given`: keys that no field of the same name says; None for one that is left out. A field that holds nothing is left
    out where the schema has no constant for that.
    """
    kind = type(value).__name__
    hints = {field.name: hint for field, hint in _fields(type(value))}
    inner = {name: PATHS[f"{kind}.{name}"] for name in hints if f"{kind}.{name}" in PATHS}
    found: dict[str, Any] = {}
    for name, below in expand(schema)["properties"].items():
        expanded = expand(below)
        if name in given:
            found[name] = given[name]
        elif name in hints:
            own = getattr(value, name)
            # What is empty, and has no constant for that in the schema, is left out.
            is_written = own not in (None, "", ()) or "default" in expanded
            found[name] = _write(own, hints[name], expanded, writers) if is_written else None
        for field, (first, *rest) in inner.items():
            if first != name or name in given or (own := getattr(value, field)) is None:
                continue
            at, part = found.setdefault(name, {}), expanded
            for key in rest[:-1]:
                at, part = at.setdefault(key, {}), expand(part["properties"][key])
            part = expand(part["properties"][rest[-1]])
            at[rest[-1]] = _write(own, hints[field], part, writers)
    return {name: one for name, one in found.items() if one is not None}


def _fields_of(kind: Any) -> tuple[tuple[FieldInfo, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field, hints[field.name]) for field in fields(kind))


_fields: Callable[[Any], tuple[tuple[FieldInfo, Any], ...]] = lru_cache(maxsize=64)(_fields_of)
"""Reading annotations takes most of the time, so it is done once."""


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Value)


def _read(hint: Any, written: Any, readers: Readers) -> Any:
    if hint in readers or hint in (int, float):
        return readers.get(hint, hint)(written)
    if _is_section(hint):
        return from_mapping(hint, written, readers)
    if get_origin(hint) is not tuple:
        return _read_one_of(get_args(hint), written, readers)
    item = get_args(hint)[0]
    if not isinstance(written, Mapping):
        return tuple(_read(item, one, readers) for one in written)
    if not _is_section(item):
        return tuple(written.items())
    # A mapping by the first field, which the user names.
    name = fields(item)[0].name
    return tuple(from_mapping(item, one, readers, **{name: key}) for key, one in written.items())


def _read_one_of(forms: tuple[Any, ...], written: Any, readers: Readers) -> Any:
    """Return a value of which the annotation names several forms, such as `float | None`."""
    for form in forms if written is not None else ():
        is_list = get_origin(form) is tuple and isinstance(written, list)
        is_section = _is_section(form) and isinstance(written, Mapping)
        # Only `float | None`, not `int | float | …`: of a split, 400 is rows and 0.4 a share, so
        # the type as written has to stay.
        is_number = form in (int, float) and forms == (form, type(None))
        if is_list or is_section or is_number or form in readers:
            return _read(form, written, readers)
    return written


def _write(value: Any, hint: Any, schema: Schema, writers: Writers) -> Any:
    if type(value) in writers:
        return writers[type(value)](value)
    if isinstance(value, Value):
        return to_mapping(value, schema, writers)
    if not isinstance(value, tuple):
        return value
    item = next(get_args(form)[0] for form in (hint, *get_args(hint)) if get_origin(form) is tuple)
    if not _is_section(item):
        return dict(value) if get_origin(item) is tuple else list(value)
    if "items" in schema:
        return [_write(one, item, schema["items"], writers) for one in value]
    name, part = fields(item)[0].name, schema["additionalProperties"]
    return {getattr(one, name): to_mapping(one, part, writers) for one in value}
