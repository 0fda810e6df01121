"""The errors of a JSON Schema validator, in the words of a person who writes a recipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from engine.recipe.patterns import validator
from engine.recipe.text.compose import KeyPath, spelled_in_flow, visible
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import suggestion
from engine.values import Value, field

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Schema = Mapping[str, Any]

_OF_ONE_VALUE: Final = ("type", "enum", "const", "pattern")
"""Words of a schema that say which single values it takes, and name no other schema."""
_MOST_WAYS: Final = 3
_WAYS_TO_A_PLACE: Final = ("hub", "path")
"""A text in the place of a mapping that says where something is, is one of these."""
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_THOUSANDS: Final = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")


def hint_for_type(
    error: SchemaError, source: SourceText, expand: Callable[[Schema], Schema]
) -> str | None:
    """Return what to write instead, or None where that is not known; `expand` replaces references of a schema."""
    written = source.owner(error.path).written.get(error.path)
    wanted, got = error.wanted, error.got
    if wanted == "string":
        return _for_text(written or _text_at(error.path, source), error.schema)
    if wanted == "boolean" and written is not None:
        # YAML 1.1 read these as booleans, and people still write them.
        claims = {"yes": "true", "on": "true", "no": "false", "off": "false"}
        meant = claims.get(written.lower(), written.lower())
        return f"write `{meant}`" if meant in ("true", "false") else None
    if wanted in ("number", "integer") and isinstance(got, str):
        return _for_number(got, is_whole=wanted == "integer")
    if wanted in ("array", "object"):
        return _for_collection(error, written, expand)
    return None


def _for_text(written: str, schema: Schema) -> str | None:
    if not written:
        return None
    if not _Value(written, written).goes_into(schema):  # `time: 8` is no `8h` in quotes, either
        example = next(iter(schema.get("examples", ())), None)
        return f"such as `{spelled_in_flow(example)}`" if example else None
    return f'write it in quotes: "{written}"'


def _text_at(path: KeyPath, source: SourceText) -> str:
    source = source.owner(path)
    span = source.values.get(path)
    if span is None:
        return ""
    rest = source.lines[span.line - 1][span.column - 1 :]
    return rest[: rest.find("}") + 1] if rest.startswith("{") and "}" in rest else ""


def _for_number(text: str, *, is_whole: bool) -> str | None:
    share = text.strip().removesuffix("%")
    bare = share.strip().replace("_", "")
    if _THOUSANDS.fullmatch(bare):
        bare = bare.replace(",", "")
    elif "." not in bare and bare.count(",") == 1:
        bare = bare.replace(",", ".")
    number = bare if _NUMBER.fullmatch(bare) else ""
    if not number:
        return None
    if share != text.strip():
        return percent_hint(float(number)) if float(number) >= 0 else None
    if is_whole:
        return f"write `{int(float(number))}`" if float(number).is_integer() else None
    # With leading zeros a number is text to the strict loader.
    return f"write `{int(number) if number.isdigit() else number}`"


def _for_collection(
    error: SchemaError, written: str | None, expand: Callable[[Schema], Schema]
) -> str | None:
    """Say how a value stands in the list or the mapping that is wanted, or how one looks."""
    schema, got = error.schema, error.got
    if got is None:
        return None
    if isinstance(got, Mapping):
        return "put it into a list: begin it with `- `, on a line of its own"
    value = _Value(got, written if written and not isinstance(got, str) else spelled_in_flow(got))
    if isinstance(got, str) and "," in got and value.goes_into(expand(schema.get("items", {}))):
        return f"write it in brackets: [{got}]"
    ways = [] if isinstance(got, list) else list(_ways(value, schema, expand))
    if 0 < len(ways) <= _MOST_WAYS:
        return f"write {' or '.join(f'`{way}`' for way in ways)}"
    example = next(iter(schema.get("examples", ())), None) or _one_key(schema, expand)
    return f"such as `{spelled_in_flow(example)}`" if example else None


def _one_key(schema: Schema, expand: Callable[[Schema], Schema]) -> dict[str, Any]:
    keys = schema.get("properties", {})
    for name, below in keys.items() if len(keys) <= _MOST_WAYS else ():
        for example in expand(below).get("examples", ()):
            return {name: example}
    return {}


class _Value(Value, kw_only=False):
    value: object
    spelled: str

    def goes_into(self, schema: Schema) -> bool:
        words = {word: schema[word] for word in _OF_ONE_VALUE if word in schema}
        return bool(words) and validator(words).is_valid(self.value)


def _ways(value: _Value, schema: Schema, expand: Callable[[Schema], Schema]) -> Iterator[str]:
    if isinstance(schema.get("items"), Mapping):
        item = expand(schema["items"])
        if value.goes_into(item):
            yield f"[{value.spelled}]"
        else:
            yield from (f"[{way}]" for way in _ways(value, item, expand))
        return
    keys = {name: expand(below) for name, below in schema.get("properties", {}).items()}
    for name in _keys_for_one(schema, keys):
        if value.goes_into(keys[name]):
            yield f"{{{name}: {value.spelled}}}"


def _keys_for_one(schema: Schema, keys: Mapping[str, Schema]) -> list[str]:
    required = list(schema.get("required", ()))
    if len(required) == 1:
        return required
    if not required and "path" in keys:
        return [name for name in _WAYS_TO_A_PLACE if name in keys]
    return [] if required or "examples" in schema else list(keys)


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


_FORMS: Final = (
    # `true` is an int in Python, and no number in JSON.
    (bool, "boolean"),
    (Mapping, "object"),
    (list, "array"),
    (int | float, "number"),
)
_RANGES: Final = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "greater than",
    "exclusiveMaximum": "less than",
}
_SIZES: Final = {
    "minLength": ("R109", "must not be empty"),
    "maxLength": ("R109", "must have at most {bound} characters, has {size}"),
    "minItems": ("R110", "must list at least {bound}, lists {size}"),
    "maxItems": ("R110", "must list at most {bound}, lists {size}"),
    "minProperties": ("R110", "must say at least {bound} thing, says nothing"),
    "maxProperties": ("R110", "must say only {bound} thing, says {size}"),
}


class SchemaError(Value):
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
    schema: Mapping[str, Any] = field(default=_NOTHING)
    """Where the type is wrong: what the schema says of the right one."""


def schema_errors(error: ValidationError) -> Iterator[SchemaError]:
    forms: Any = error.validator_value
    # A choice fails as a whole; a person wants to know what is wrong in the form that was meant: a mapping where one
    # form is a mapping, a list where one is a list, a number where one is a number.
    if error.validator in ("oneOf", "anyOf") and not _only_names_keys(forms):
        name = next((name for kind, name in _FORMS if isinstance(error.instance, kind)), "")
        types = [form.get("type") for form in forms]
        meant = types.index(name) if name in types else None
        chosen = [one for one in error.context or () if one.schema_path[0] == meant]
        if chosen:
            for inner in chosen:
                yield from schema_errors(inner)
            return
    path = tuple(error.absolute_path)
    found = list(_of_keys(error, path))
    # A refusal without words would be none: the recipe would pass as valid.
    yield from found or [_of_value(error, path)]


def _only_names_keys(forms: Any) -> bool:
    return all(form.keys() == {"required"} for form in forms)


def _of_keys(error: ValidationError, path: KeyPath) -> Iterator[SchemaError]:
    rule: Any = error.validator_value
    value: Any = error.instance
    schema = error.schema if isinstance(error.schema, Mapping) else _NOTHING
    properties = schema.get("properties", {})

    def found(code: str, message: str, *below: str | int, **more: Any) -> SchemaError:
        return SchemaError(code=code, path=(*path, *below), message=message, **more)

    match error.validator:
        case "additionalProperties":
            unknown = (name for name in value if name not in properties)
            more = {"at_key": True, "known": properties}
            yield from (found("R104", "unknown key", name, **more) for name in unknown)
        case "required":
            for name in (one for one in rule if one not in value):
                hint = _example(name, properties.get(name, {}))
                yield found("R105", "is missing", name, hint=hint)
        case "uniqueItems":
            twice = (place for place, item in enumerate(value) if item in value[:place])
            listed = "is listed twice"
            yield from (found("R110", f"{show(value[place])} {listed}", place) for place in twice)
        case "oneOf" if isinstance(value, Mapping) and _only_names_keys(rule):
            names = [name for choice in rule for name in choice["required"]]
            given = [name for name in names if name in value]
            has = f"has {_list(given)}" if given else "has none of them"
            yield found("R111", f"needs exactly one of {_list(names)}; {has}", at_key=True)
        case "dependentRequired":
            for name, other in ((name, other) for name, needed in rule.items() for other in needed):
                if name in value and other not in value:
                    message = f"`{name}` goes only with `{other}`"
                    yield found("R112", message, name, at_key=True)
        case "not":
            yield from _excluding(error, found)


def _excluding(error: ValidationError, found: Callable[..., SchemaError]) -> Iterator[SchemaError]:
    rule: Any = error.validator_value
    above, value = list(error.absolute_schema_path), error.instance
    of = above.index("dependentSchemas") + 1 if "dependentSchemas" in above else None
    for form in rule.get("anyOf", [rule]):
        *others, name = form["required"]
        if isinstance(value, Mapping) and set(form["required"]) <= set(value):
            other = others[0] if of is None else above[of]
            yield found("R112", f"`{name}` does not go with `{other}`", name, at_key=True)


def _of_value(error: ValidationError, path: KeyPath) -> SchemaError:
    word, rule, value = (
        str(error.validator),
        cast("Any", error.validator_value),
        cast("Any", error.instance),
    )
    schema = error.schema if isinstance(error.schema, Mapping) else _NOTHING
    code, more = "R109", dict[str, Any]()
    message = f"must be {schema.get('x-expects', 'something else')}, not {show(value)}"
    is_choice = word == "enum" or (word == "oneOf" and not _only_names_keys(rule))
    if word == "type":
        more = {"wanted": str(rule), "got": value, "schema": schema}
        names = {bool: "the value", int: "the number", float: "the number", str: "the text"}
        kind = f"{names[type(value)]} {show(value)}" if type(value) in names else show(value)
        code, message = "R106", f"must be {_KINDS.get(str(rule), rule)}, not {kind}"
    elif word == "anyOf":
        code = "R107" if isinstance(value, str) else "R106"
    elif word in _RANGES:
        is_share = word == "maximum" and rule == 1 and schema.get("minimum") == 0
        code, message = "R108", f"must be {_RANGES[word]} {rule}, not {show(value)}"
        more = {"hint": percent_hint(value)} if is_share else {}
    elif word in _SIZES:
        code, form = _SIZES[word]
        message = form.format(bound=rule, size=len(value))
    elif is_choice:
        words = [str(one) for one in (rule if word == "enum" else _words_of(rule))]
        is_number = word == "oneOf" and any(choice.get("type") == "number" for choice in rule)
        near = suggestion(value, words) if isinstance(value, str) else None
        code = "R107" if isinstance(value, str) and (near or not is_number) else "R106"
        more = {"hint": near, "wanted": "number" if is_number else "", "got": value}
        if word == "enum":
            wanted = f"`{words[0]}`" if len(words) == 1 else f"one of {_list(words)}"
            message = f"must be {wanted}, not {show(value)}"
    if value is None and (word == "type" or is_choice):
        code, message, more = "R106", "has no value", {**more, "at_key": True}
    return SchemaError(code=code, path=path, message=message, **more)


def _words_of(choices: Sequence[Mapping[str, Any]]) -> Iterator[object]:
    for choice in choices:
        yield from choice.get("enum") or ([choice["const"]] if "const" in choice else [])


def show(value: object) -> str:
    """Return `value` as it may stand in a message: short, in backticks, nothing invisible."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else visible(str(value))
    text = text.replace("\n", r"\n").replace("\t", r"\t")
    return f"`{text[:_LONGEST_SHOWN]}…`" if len(text) > _LONGEST_SHOWN else f"`{text}`"


def _example(name: str, schema: Mapping[str, Any]) -> str | None:
    for example in schema.get("examples", ()):
        if isinstance(example, str | int | float):
            return f"add, for example, `{name}: {example}`"
        if isinstance(example, list) and all(isinstance(item, str) for item in example):
            return f"add, for example, `{name}: [{', '.join(example)}]`"
    return None


def _list(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def percent_hint(value: float) -> str | None:
    """Return how a share is written, for a value that can only be meant in percent."""
    return f"for {value:g} percent write `{value / 100:g}`" if value <= 100 else None
