"""What to write in the place of a value of the wrong type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from engine.recipe.patterns import validator
from engine.recipe.text.compose import KeyPath, is_plain_text
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import SchemaError, percent_hint
from engine.values import Value

Schema = Mapping[str, Any]

_OF_ONE_VALUE: Final = ("type", "enum", "const", "pattern")
"""Words of a schema that say which single values it takes, and name no other schema."""
_MOST_WAYS: Final = 3
_WAYS_TO_A_PLACE: Final = ("hub", "path")
"""A text in the place of a mapping that says where something is, is one of these."""
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_PLAIN_IN_BRACES: Final = re.compile(r"[\w./][\w ./@=+-]*")
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
        return f"such as `{_flow(example)}`" if example else None
    return f'write it in quotes: "{written}"'


def _text_at(path: KeyPath, source: SourceText) -> str:
    """Return a template as it stands there: without quotes, `{text}` is a mapping to YAML."""
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
    value = _Value(got, written if written and not isinstance(got, str) else _flow(got))
    if isinstance(got, str) and "," in got and value.goes_into(expand(schema.get("items", {}))):
        return f"write it in brackets: [{got}]"
    ways = [] if isinstance(got, list) else list(_ways(value, schema, expand))
    if 0 < len(ways) <= _MOST_WAYS:
        return f"write {' or '.join(f'`{way}`' for way in ways)}"
    example = next(iter(schema.get("examples", ())), None) or _one_key(schema, expand)
    return f"such as `{_flow(example)}`" if example else None


def _one_key(schema: Schema, expand: Callable[[Schema], Schema]) -> dict[str, Any]:
    """Return the first key of a mapping that has no example of its own, with the example of that key."""
    keys = schema.get("properties", {})
    for name, below in keys.items() if len(keys) <= _MOST_WAYS else ():
        for example in expand(below).get("examples", ()):
            return {name: example}
    return {}


class _Value(Value, kw_only=False):
    """A single value, and how the recipe spells it."""

    value: object
    spelled: str

    def goes_into(self, schema: Schema) -> bool:
        words = {word: schema[word] for word in _OF_ONE_VALUE if word in schema}
        return bool(words) and validator(words).is_valid(self.value)


def _ways(value: _Value, schema: Schema, expand: Callable[[Schema], Schema]) -> Iterator[str]:
    """Yield the lists or mappings that the value makes, as a recipe writes them."""
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
    """Return the keys that a single value can be meant for."""
    required = list(schema.get("required", ()))
    if len(required) == 1:
        return required
    if not required and "path" in keys:
        return [name for name in _WAYS_TO_A_PLACE if name in keys]
    return [] if required or "examples" in schema else list(keys)


def _flow(value: object) -> str:
    """Return a value on one line, as a recipe writes it."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_flow(below)}' for name, below in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, str):
        is_plain = _PLAIN_IN_BRACES.fullmatch(value) and is_plain_text(value)
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)
