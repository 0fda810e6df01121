"""A file against its schema: every violation in plain words, with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from engine.recipe.patterns import validator
from engine.recipe.text.compose import KeyPath, spelled_in_flow, visible
from engine.recipe.text.words import did_you_mean, nearest, suggestion
from engine.recipe.validation.schema import Schema, expand, recipe_schema, walk
from engine.values import Value, field

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import Draft202012Validator

    from engine.errors import Problem
    from engine.recipe.text.source import SourceText

MOST_KEYS_LISTED: Final = 14
MOST_HINTS: Final = 100
"""Mistakes that get a hint: finding the key that was meant takes 10 ms."""
_LONGEST_SHOWN: Final = 60
_OF_ONE_VALUE: Final = ("type", "enum", "const", "pattern")
"""Keywords that decide on a single value and name no other schema."""
_MOST_FORMS: Final = 3
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_THOUSANDS: Final = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_KINDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true` or `false`",
    "object": "a mapping of keys",
    "array": "a list",
}
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
    "minProperties": ("R110", "must have at least {bound} key, has none"),
    "maxProperties": ("R110", "must have only {bound} key, has {size}"),
}
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class SchemaError(Value):
    """A violation, before it has a place in the file."""

    code: str
    path: KeyPath
    message: str
    at_key: bool = False
    """Point at the key instead of its value."""
    hint: str | None = None
    known: Mapping[str, Any] = field(default=_NOTHING)
    """Of an unknown key: the keys that are known there."""
    wanted: str = ""
    """Of a wrong type: JSON Schema's name of the right one."""
    got: object = None
    schema: Mapping[str, Any] = field(default=_NOTHING)
    """Of a wrong type: the schema of the value."""


def check_structure(source: SourceText, schema: Schema | None = None) -> tuple[Problem, ...]:
    """Return every violation of a schema without `$ref`, by default of the recipe's."""
    problems: dict[tuple[str, KeyPath], Problem] = {}
    checked = _validator() if schema is None else validator(schema)
    for error in (one for each in checked.iter_errors(source.value) for one in schema_errors(each)):
        # Nothing more is reported of a value that could not be read.
        if any(error.path[:length] in source.broken for length in range(1, len(error.path) + 1)):
            continue
        hint = error.hint
        if error.code == "R104" and len(problems) <= MOST_HINTS:
            hint = _hint_for_unknown(error.path, error.known, schema or recipe_schema())
        elif error.code == "R106":
            hint = hint or _hint_for_type(error, source)
        problem = source.problem(
            error.code, error.message, at=error.path, key=error.at_key, hint=hint
        )
        problems.setdefault((error.code, error.path), problem)
    # Of a value of the wrong type, its range and form mean nothing.
    mistyped = {path for code, path in problems if code == "R106"}
    return tuple(
        problem
        for (code, path), problem in problems.items()
        if code == "R106" or path not in mistyped
    )


@cache
def _validator() -> Draft202012Validator:
    return validator(recipe_schema())


def schema_errors(error: ValidationError) -> Iterator[SchemaError]:
    forms: Any = error.validator_value
    # A choice fails as a whole; a person wants to know what is wrong in the form that was meant: for a mapping in the
    # form that is a mapping, for a list in that of a list, for a number in that of a number.
    if error.validator in ("oneOf", "anyOf") and not _only_names_keys(forms):
        name = next((name for kind, name in _FORMS if isinstance(error.instance, kind)), "")
        types = [form.get("type") for form in forms]
        meant = types.index(name) if name in types else None
        inner = [one for one in error.context or () if one.schema_path[0] == meant]
        if inner:
            yield from (shown for one in inner for shown in schema_errors(one))
            return
    errors = list(_of_keys(error))
    # Without words for a violation, the recipe would pass as valid.
    yield from errors or [_of_value(error)]


def _only_names_keys(forms: Any) -> bool:
    return all(form.keys() == {"required"} for form in forms)


def _of_keys(error: ValidationError) -> Iterator[SchemaError]:
    rule: Any = error.validator_value
    value: Any = error.instance
    properties = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}

    def at(code: str, message: str, *below: str | int, **more: Any) -> SchemaError:
        path = (*error.absolute_path, *below)
        return SchemaError(code=code, path=path, message=message, **more)

    match error.validator:
        case "additionalProperties":
            for name in (name for name in value if name not in properties):
                yield at("R104", "unknown key", name, at_key=True, known=properties)
        case "required":
            for name in (name for name in rule if name not in value):
                yield at("R105", "is missing", name, hint=_example(name, properties.get(name, {})))
        case "uniqueItems":
            for place, item in enumerate(value):
                if item in value[:place]:
                    yield at("R110", f"{show(item)} is listed twice", place)
        case "oneOf" if isinstance(value, Mapping) and _only_names_keys(rule):
            names = [name for choice in rule for name in choice["required"]]
            present = [name for name in names if name in value]
            has = f"has {_list(present)}" if present else "has none of them"
            yield at("R111", f"needs exactly one of {_list(names)}; {has}", at_key=True)
        case "dependentRequired":
            for name, other in ((name, other) for name, needed in rule.items() for other in needed):
                if name in value and other not in value:
                    yield at("R112", f"`{name}` goes only with `{other}`", name, at_key=True)
        case "not":
            yield from _excluding(error, at)


def _excluding(error: ValidationError, at: Callable[..., SchemaError]) -> Iterator[SchemaError]:
    rule: Any = error.validator_value
    above, value = list(error.absolute_schema_path), error.instance
    of = above.index("dependentSchemas") + 1 if "dependentSchemas" in above else None
    for form in rule.get("anyOf", [rule]):
        *others, name = form["required"]
        if isinstance(value, Mapping) and set(form["required"]) <= set(value):
            other = others[0] if of is None else above[of]
            yield at("R112", f"`{name}` does not go with `{other}`", name, at_key=True)


def _of_value(error: ValidationError) -> SchemaError:
    word = str(error.validator)
    rule, value = cast("Any", error.validator_value), cast("Any", error.instance)
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
    return SchemaError(code=code, path=tuple(error.absolute_path), message=message, **more)


def _words_of(choices: Sequence[Mapping[str, Any]]) -> Iterator[object]:
    for choice in choices:
        yield from choice.get("enum") or ([choice["const"]] if "const" in choice else [])


def show(value: object) -> str:
    """Return `value` for a message: short, in backticks, without invisible characters."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else visible(str(value))
    text = text.replace("\n", r"\n").replace("\t", r"\t")
    return f"`{text[:_LONGEST_SHOWN]}…`" if len(text) > _LONGEST_SHOWN else f"`{text}`"


def _list(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _example(name: str, schema: Mapping[str, Any]) -> str | None:
    for example in schema.get("examples", ()):
        if isinstance(example, str | int | float):
            return f"add, for example, `{name}: {example}`"
        if isinstance(example, list) and all(isinstance(item, str) for item in example):
            return f"add, for example, `{name}: [{', '.join(example)}]`"
    return None


def percent_hint(value: float) -> str | None:
    """Return how a share is written, for a value that can only be a percentage."""
    return f"for {value:g} percent write `{value / 100:g}`" if value <= 100 else None


def _hint_for_unknown(path: KeyPath, known: Schema, schema: Schema) -> str | None:
    name = str(path[-1])
    paths = {
        path: below
        for path, below in walk(schema)
        if len(path) > 1 and not {"[]", "*"}.intersection(path)
    }
    sections = [path[:-1] for path in paths if path[-1] == name]
    depth = min(map(len, sections), default=0)
    elsewhere = [".".join(section) for section in sections if len(section) == depth]
    by_alias = [one for key, below in known.items() for one in _meant(name, key, expand(below))]
    if not by_alias and not elsewhere:
        # Deeper keys have common words for names, such as `count`.
        second = {path: below for path, below in paths.items() if len(path) == 2}
        found = {p: one for p, below in second.items() for one in _meant(name, ".".join(p), below)}
        by_alias = list(found.values()) if len(found) == 1 else []
    near = by_alias[0] if by_alias else nearest(name, known)
    if near is not None:
        return did_you_mean(near)
    if len(elsewhere) == 1:
        return f"it belongs under `{elsewhere[0]}`"
    return f"keys here are {', '.join(known)}" if 0 < len(known) <= MOST_KEYS_LISTED else None


def _meant(name: str, key: str, expanded: Schema) -> Iterator[str]:
    """Yield the key, or the key with a value, that another tool calls by that name; also by names of its items."""
    items = expanded.get("items")
    own: list[str] = expanded.get("x-aliases", [])
    for alias in own or (expand(items).get("x-aliases", []) if isinstance(items, Mapping) else []):
        known, _, value = alias.partition(": ")
        if name == known:
            yield f"{key}: {value}" if value else key


def _hint_for_type(error: SchemaError, source: SourceText) -> str | None:
    """Return what to write instead of a value of the wrong type; None where that is unknown."""
    owner, wanted, got = source.owner(error.path), error.wanted, error.got
    written = owner.written.get(error.path)
    if wanted == "string":
        return _for_text(written or _mapping_at(error.path, owner), error.schema)
    if wanted == "boolean" and written is not None:
        # YAML 1.1 read these as booleans, and people still write them.
        words = {"yes": "true", "on": "true", "no": "false", "off": "false"}
        meant = words.get(written.lower(), written.lower())
        return f"write `{meant}`" if meant in ("true", "false") else None
    if wanted in ("number", "integer") and isinstance(got, str):
        return _for_number(got, is_whole=wanted == "integer")
    if wanted in ("array", "object") and got is not None:
        return _for_collection(got, written, error.schema)
    return None


def _for_text(written: str, schema: Schema) -> str | None:
    if not written or _fits(written, schema):
        return f'write it in quotes: "{written}"' if written else None
    example = next(iter(schema.get("examples", ())), None)
    return f"such as `{spelled_in_flow(example)}`" if example else None


def _mapping_at(path: KeyPath, source: SourceText) -> str:
    """Return a mapping in braces as it is written, such as `{text}`, which was meant as text."""
    span = source.values.get(path)
    rest = source.lines[span.line - 1][span.column - 1 :] if span else ""
    return rest[: rest.find("}") + 1] if rest.startswith("{") else ""


def _for_number(text: str, *, is_whole: bool) -> str | None:
    share = text.strip().removesuffix("%")
    bare = share.strip().replace("_", "")
    if _THOUSANDS.fullmatch(bare):
        bare = bare.replace(",", "")
    elif "." not in bare and bare.count(",") == 1:
        bare = bare.replace(",", ".")
    if not _NUMBER.fullmatch(bare):
        return None
    if share != text.strip():
        return percent_hint(float(bare)) if float(bare) >= 0 else None
    if is_whole:
        return f"write `{int(float(bare))}`" if float(bare).is_integer() else None
    # With leading zeros a number is text to the strict loader.
    return f"write `{int(bare) if bare.isdigit() else bare}`"


def _for_collection(got: object, written: str | None, schema: Schema) -> str | None:
    """Return how the value is written in the wanted list or mapping, or an example of one."""
    if isinstance(got, Mapping):
        return "put it into a list: begin it with `- `, on a line of its own"
    if isinstance(got, str) and "," in got and _fits(got, expand(schema.get("items", {}))):
        return f"write it in brackets: [{got}]"
    spelled = written if written and not isinstance(got, str) else spelled_in_flow(got)
    forms = [] if isinstance(got, list) else list(_forms_with(got, spelled, schema))
    if 0 < len(forms) <= _MOST_FORMS:
        return f"write {' or '.join(f'`{form}`' for form in forms)}"
    keys = schema.get("properties", {})
    inner = (
        {name: example}
        for name, below in (keys.items() if len(keys) <= _MOST_FORMS else ())
        for example in expand(below).get("examples", ())
    )
    example = next(iter(schema.get("examples", ())), None) or next(inner, None)
    return f"such as `{spelled_in_flow(example)}`" if example else None


def _fits(value: object, schema: Schema) -> bool:
    words = {word: schema[word] for word in _OF_ONE_VALUE if word in schema}
    return bool(words) and validator(words).is_valid(value)


def _forms_with(value: object, spelled: str, schema: Schema) -> Iterator[str]:
    if isinstance(schema.get("items"), Mapping):
        item = expand(schema["items"])
        inner = [spelled] if _fits(value, item) else _forms_with(value, spelled, item)
        yield from (f"[{form}]" for form in inner)
        return
    keys = {name: expand(below) for name, below in schema.get("properties", {}).items()}
    required = list(schema.get("required", ()))
    names = [] if required or "examples" in schema else list(keys)
    if len(required) == 1:
        names = required
    elif not required and "path" in keys:
        # A text instead of a mapping that names a place is one of these.
        names = [name for name in ("hub", "path") if name in keys]
    yield from (f"{{{name}: {spelled}}}" for name in names if _fits(value, keys[name]))
