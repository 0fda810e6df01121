"""The errors of a JSON Schema validator, in the words of a person who writes a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from engine.recipe.text.compose import KeyPath, visible
from engine.recipe.text.nearest import nearest

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_LONGEST_SHOWN: Final = 60
_KINDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true` or `false`",
    "object": "a mapping of keys",
    "array": "a list",
}
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaError:
    """One broken rule, before it is given a place in the file."""

    code: str
    path: KeyPath
    message: str
    at_key: bool = False
    """Point at the key rather than at its value."""
    hint: str | None = None
    known: Mapping[str, Any] = field(default=_NOTHING)
    """Where a key is unknown: the keys that are known there."""
    wanted: str = ""
    """Where the type is wrong: JSON Schema's name of the right one."""
    got: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broken:
    """One keyword of the schema that one value does not satisfy."""

    word: str
    """JSON Schema's keyword: `required`, `maximum`, …"""
    rule: Any
    """What the schema says beside the keyword."""
    schema: Mapping[str, Any]
    """The schema that holds the keyword."""
    value: Any
    beside: str
    """Under `dependentSchemas`: the key whose presence asks for this."""


def schema_errors(error: ValidationError) -> Iterator[SchemaError]:
    """Yield what one validation error means: one error for each key or item at fault."""
    path = tuple(error.absolute_path)
    # `oneOf` fails as a whole; a person wants to know what is wrong in the form that was meant.
    chosen = list(_chosen(error))
    if chosen:
        for inner in chosen:
            yield from schema_errors(inner)
        return
    broken = _Broken(
        word=str(error.validator),
        rule=error.validator_value,
        schema=error.schema if isinstance(error.schema, Mapping) else _NOTHING,
        value=error.instance,
        beside=_companion(list(error.absolute_schema_path)),
    )
    yield from _WORDS.get(broken.word, _wrong_form)(broken, path)


def _chosen(error: ValidationError) -> Iterator[ValidationError]:
    """Yield the errors of the one form among several that a value of its type can only mean.

    A mapping where one form is a mapping, a number where one is a number.
    """
    forms: Any = error.validator_value
    if error.validator != "oneOf" or "required" in forms[0]:
        return
    wanted = {Mapping: "object", int: "number", float: "number"}
    for kind, name in wanted.items():
        # `true` is an int in Python, and no number in JSON.
        if isinstance(error.instance, kind) and not isinstance(error.instance, bool):
            types = [form.get("type") for form in forms]
            meant = types.index(name) if name in types else None
            yield from (inner for inner in error.context or () if inner.schema_path[0] == meant)


def _companion(schema_path: list[Any]) -> str:
    if "dependentSchemas" not in schema_path:
        return ""
    return str(schema_path[schema_path.index("dependentSchemas") + 1])


def show(value: object) -> str:
    """Return `value` as it may stand in a message: short, in backticks, nothing invisible."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else visible(str(value))
    text = text.replace("\n", " ")
    return f"`{text[:_LONGEST_SHOWN]}…`" if len(text) > _LONGEST_SHOWN else f"`{text}`"


def _expects(broken: _Broken) -> str:
    expected = broken.schema.get("x-expects", "something else")
    return f"must be {expected}, not {show(broken.value)}"


def _unknown_keys(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    known = broken.schema.get("properties", {})
    for name in broken.value:
        if name not in known:
            yield SchemaError(
                code="R104", path=(*path, name), message="unknown key", at_key=True, known=known
            )


def _missing_keys(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    properties = broken.schema.get("properties", {})
    for name in broken.rule:
        if name not in broken.value:
            hint = _example(name, properties.get(name, {}))
            yield SchemaError(code="R105", path=(*path, name), message="is missing", hint=hint)


def _example(name: str, schema: Mapping[str, Any]) -> str | None:
    for example in schema.get("examples", ()):
        if isinstance(example, str | int | float):
            return f"add, for example, `{name}: {example}`"
        if isinstance(example, list) and all(isinstance(item, str) for item in example):
            return f"add, for example, `{name}: [{', '.join(example)}]`"
    return None


def _wrong_type(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    wanted = str(broken.rule)
    got = broken.value
    message = (
        "has no value" if got is None else f"must be {_KINDS.get(wanted, wanted)}, not {_kind(got)}"
    )
    yield SchemaError(
        code="R106", path=path, message=message, wanted=wanted, got=got, at_key=got is None
    )


def _kind(value: object) -> str:
    if isinstance(value, Mapping | list):
        return show(value)
    name = {bool: "true or false", int: "the number", float: "the number", str: "the text"}
    found = name.get(type(value), "")
    return f"the value {show(value)}" if found == "true or false" else f"{found} {show(value)}"


def _none_of(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    yield SchemaError(
        code="R106" if not isinstance(broken.value, str) else "R107",
        path=path,
        message=_expects(broken),
    )


def _not_listed(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    allowed = [str(value) for value in broken.rule]
    if broken.value is None:
        yield SchemaError(code="R106", path=path, message="has no value", at_key=True)
        return
    near = nearest(broken.value, allowed) if isinstance(broken.value, str) else None
    wanted = f"must be `{allowed[0]}`" if len(allowed) == 1 else f"must be one of {_list(allowed)}"
    yield SchemaError(
        code="R107" if isinstance(broken.value, str) else "R106",
        path=path,
        message=f"{wanted}, not {show(broken.value)}",
        hint=f"did you mean `{near}`?" if near else None,
    )


def _list(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _out_of_range(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "greater than",
        "exclusiveMaximum": "less than",
    }
    bound, got = broken.rule, broken.value
    is_share = broken.word == "maximum" and bound == 1 and broken.schema.get("minimum") == 0
    hint = percent_hint(got) if is_share else None
    message = f"must be {words[broken.word]} {bound}, not {show(got)}"
    yield SchemaError(code="R108", path=path, message=message, hint=hint)


def percent_hint(value: float) -> str | None:
    """Return how a share is written, for a value that can only be meant in percent."""
    return f"for {value} percent write `{value / 100:g}`" if value <= 100 else None


def _wrong_form(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    yield SchemaError(code="R109", path=path, message=_expects(broken))


def _wrong_size(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    bound = broken.rule
    messages = {
        "minLength": ("R109", "must not be empty"),
        "maxLength": ("R109", f"must have at most {bound} characters, has {len(broken.value)}"),
        "minItems": ("R110", f"must list at least {bound}, lists {len(broken.value)}"),
        "maxItems": ("R110", f"must list at most {bound}, lists {len(broken.value)}"),
        "minProperties": ("R110", f"must say at least {bound} thing, says nothing"),
        "maxProperties": ("R110", f"must say only {bound} thing, says {len(broken.value)}"),
    }
    code, message = messages[broken.word]
    yield SchemaError(code=code, path=path, message=message)


def _repeated(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    items = broken.value
    for position, item in enumerate(items):
        if item in items[:position]:
            yield SchemaError(
                code="R110", path=(*path, position), message=f"{show(item)} is listed twice"
            )


def _not_exactly_one(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    names = [name for choice in broken.rule for name in choice.get("required", ())]
    if not names:
        yield from _none_of_the_forms(broken, path)
        return
    if not isinstance(broken.value, Mapping):
        return
    given = [name for name in names if name in broken.value]
    has = f"has {_list(given)}" if given else "has none of them"
    yield SchemaError(
        code="R111", path=path, message=f"needs exactly one of {_list(names)}; {has}", at_key=True
    )


def _none_of_the_forms(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    words = [str(word) for choice in broken.rule for word in _words_of(choice)]
    is_number = any(choice.get("type") == "number" for choice in broken.rule)
    is_text = isinstance(broken.value, str)
    near = nearest(broken.value, words) if isinstance(broken.value, str) else None
    yield SchemaError(
        code="R107" if is_text and (near or not is_number) else "R106",
        path=path,
        message="has no value" if broken.value is None else _expects(broken),
        at_key=broken.value is None,
        hint=f"did you mean `{near}`?" if near else None,
        wanted="number" if is_number else "",
        got=broken.value,
    )


def _words_of(choice: Mapping[str, Any]) -> list[object]:
    return choice.get("enum") or ([choice["const"]] if "const" in choice else [])


def _lacks_companion(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    for name, needed in broken.rule.items():
        for other in needed:
            if name in broken.value and other not in broken.value:
                yield SchemaError(
                    code="R112",
                    path=(*path, name),
                    message=f"`{name}` goes only with `{other}`",
                    at_key=True,
                )


def _excluded(broken: _Broken, path: KeyPath) -> Iterator[SchemaError]:
    """Say what `not: {required: […]}` beside a key means: the two exclude each other."""
    for name in broken.rule.get("required", ()):
        message = f"`{name}` does not go with `{broken.beside}`"
        yield SchemaError(code="R112", path=(*path, name), message=message, at_key=True)


_WORDS: Final[Mapping[str, Callable[[_Broken, KeyPath], Iterator[SchemaError]]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_keys,
    "type": _wrong_type,
    "anyOf": _none_of,
    "enum": _not_listed,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
    "exclusiveMinimum": _out_of_range,
    "exclusiveMaximum": _out_of_range,
    "pattern": _wrong_form,
    "minLength": _wrong_size,
    "maxLength": _wrong_size,
    "minItems": _wrong_size,
    "maxItems": _wrong_size,
    "minProperties": _wrong_size,
    "maxProperties": _wrong_size,
    "uniqueItems": _repeated,
    "oneOf": _not_exactly_one,
    "dependentRequired": _lacks_companion,
    "not": _excluded,
}
