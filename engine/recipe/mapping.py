"""Sections of a recipe between values and the mappings of a file, by the fields of their classes.

A key of the schema is the field of the same name, or is at a path (`PATHS`); the caller, or a function for the type,
gives what the two write in another way. A field's annotation specifies how its value is written:

    int, float                    a number; `1` is 1.0 for a float
    a value                       a mapping
    tuple[tuple[str, str], ...]   a mapping whose keys the user names, such as `relabel`
    tuple[a value, ...]           a list of mappings; or a mapping by its first field, such as `over_baselines`
    tuple[str, ...]               a list
    anything else                 as it is
"""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin, get_type_hints

from engine.recipe.validation.schema import Schema, expand, forms
from engine.values import FieldInfo, Value, fields

Readers = Mapping[type, Callable[[Any], Mapping[str, Any]]]
"""By class, what returns the fields of a section that are written in another way."""
Writers = Mapping[type, Callable[[Any], Mapping[str, Any]]]
"""By class, what returns the keys of a value that are written in another way; None for a key that is left out."""
PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "Acceptance.max_overfitting_gap": ("overfitting", "max_gap"),
    "AgainstTeacher.max_parameters": ("parameters", "max_ratio"),
    "AgainstTeacher.min_speed": ("rows_per_second", "min_ratio"),
    "Export.min_parity": ("parity", "agreement", "min"),
    "GeneralText.max_rise": ("bits_per_byte", "max_rise"),
    "Synthesize.agreement": ("keep", "agreement"),
    "Synthesize.max_share": ("keep", "max_share"),
    "SyntheticReview.max_wrong": ("wrong", "max"),
    "SyntheticReview.min_reviewed": ("reviewed", "min"),
    "Teacher.min_confidence": ("keep", "confidence", "min"),
}
"""Fields that are deeper in the mapping of their section."""
_NONE: Final[Mapping[Any, Any]] = MappingProxyType({})


def from_mapping[Section](
    kind: type[Section], written: Mapping[str, Any], readers: Readers = _NONE, /, **given: Any
) -> Section:
    """Return the value of a checked section with defaults; `given` are fields that are written in another way."""
    values = {**(readers[kind](written) if kind in readers else {}), **given}
    section: Any = kind
    for field, hint in _fields(section):
        if field.name in values:
            continue
        part: Any = written
        for key in PATHS.get(f"{kind.__name__}.{field.name}", (field.name,)):
            part = part.get(key, _NONE) if isinstance(part, Mapping) else _NONE
        if part is not _NONE:
            values[field.name] = _read(hint, part, readers)
        elif field.required:
            values[field.name] = () if get_origin(hint) is tuple else None
    return kind(**values)


def to_mapping(
    value: Any, schema: Schema, writers: Writers = _NONE, /, **given: Any
) -> dict[str, Any]:
    """Return the mapping that a file would hold for a section, every default explicit, in the schema's order.

    `given`: keys that are written in another way; None for one that is left out. An empty field is left out if the
    schema has no default for it.
    """
    kind: Any = type(value)
    given = {**(writers[kind](value) if kind in writers else {}), **given}
    expanded = expand(schema)
    form = next(forms(expanded), expanded)
    mapping: dict[str, Any] = {}
    for name, below in form["properties"].items():
        if name in given:
            mapping[name] = given[name]
            continue
        for field, hint in _fields(kind):
            path = PATHS.get(f"{kind.__name__}.{field.name}", (field.name,))
            own = getattr(value, field.name)
            if path[0] != name or own is None:
                continue
            node, part = mapping, expand(below)
            for key, inner in pairwise(path):
                node, part = node.setdefault(key, {}), expand(part["properties"][inner])
            if own not in ("", ()) or "default" in part:
                node[path[-1]] = _write(own, hint, part, writers)
    if isinstance(form.get("additionalProperties"), Mapping):
        mapping |= {name: part for name, part in given.items() if name not in mapping}
    return {name: part for name, part in mapping.items() if part is not None}


@cache
def _fields(kind: Any) -> tuple[tuple[FieldInfo, Any], ...]:
    """Return the fields of a class with their annotations; reading these takes most of the time."""
    hints = get_type_hints(kind)
    return tuple((field, hints[field.name]) for field in fields(kind))


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Value)


def _read(hint: Any, written: Any, readers: Readers) -> Any:
    if hint in (int, float):
        return hint(written)
    if _is_section(hint):
        return from_mapping(hint, written, readers)
    if get_origin(hint) is not tuple:
        return _read_one_of(get_args(hint), written, readers)
    item = get_args(hint)[0]
    if not isinstance(written, Mapping):
        return tuple(_read(item, part, readers) for part in written)
    if not _is_section(item):
        return tuple(written.items())
    # A mapping by the first field, which the user names.
    name = fields(item)[0].name
    return tuple(from_mapping(item, part, readers, **{name: key}) for key, part in written.items())


def _read_one_of(forms: tuple[Any, ...], written: Any, readers: Readers) -> Any:
    """Return a value with several forms in its annotation, such as `float | None`."""
    for form in forms if written is not None else ():
        is_list = get_origin(form) is tuple and isinstance(written, list)
        is_section = _is_section(form) and isinstance(written, Mapping)
        # `int | float` stays as it is written: the size of a split is 400 rows, or the share 0.4.
        is_number = form in (int, float) and forms == (form, type(None))
        if is_list or is_section or is_number:
            return _read(form, written, readers)
    return written


def _write(value: Any, hint: Any, schema: Schema, writers: Writers) -> Any:
    if isinstance(value, Value):
        return to_mapping(value, schema, writers)
    if not isinstance(value, tuple):
        return value
    item = next(get_args(form)[0] for form in (hint, *get_args(hint)) if get_origin(form) is tuple)
    if not _is_section(item):
        return dict(value) if get_origin(item) is tuple else list(value)
    if "items" in schema:
        return [to_mapping(section, schema["items"], writers) for section in value]
    name, part = fields(item)[0].name, schema["additionalProperties"]
    return {getattr(section, name): to_mapping(section, part, writers) for section in value}
