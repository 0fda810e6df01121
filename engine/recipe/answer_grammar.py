"""What a task's answers look like, as a grammar: a text that any process can read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.kinds import AnswerForm
from engine.recipe.model import Json, Task
from engine.recipe.prompt import JSON_LIST_KEY, NO_LABEL, SEPARATOR, answer_text

_COMPACT: Final = {
    "whitespace_flexible": False,
    "item_separator": ",",
    "key_separator": ":",
    # `json.dumps` writes no other escapes, so training rows have no others either.
    "json_allowed_escapes": 'nrbtf\\"u',
}
"""How llguidance shall write JSON: as `write_object` does."""
_COMBINING: Final = ("allOf", "anyOf", "oneOf", "$ref", "$dynamicRef", "if", "not")
_MAPS: Final = ("properties", "$defs", "definitions", "patternProperties")
"""Keywords of a schema that name schemas."""
_LISTS: Final = ("prefixItems", "anyOf", "oneOf")
_SINGLE: Final = ("items", "additionalProperties")


def answer_grammar(task: Task) -> str | None:
    if task.spec.answer is AnswerForm.LABEL:
        answers = [answer_text(task, label) for label in task.labels]
        return _rules(" | ".join(map(_quoted, answers)))
    if task.spec.answer is AnswerForm.LABELS:
        if task.output != "json":
            return _rules(f"{_quoted(NO_LABEL)} | FROM_0", *_in_order([*map(_quoted, task.labels)]))
        names = [_quoted(json.dumps(label, ensure_ascii=False)) for label in task.labels]
        # Split around an empty list, so that the blanks are those that `json.dumps` writes.
        before, after = json.dumps({JSON_LIST_KEY: []}).split("[]")
        whole = f"{_quoted(before + '[')} FROM_0? {_quoted(']' + after)}"
        return _rules(whole, *_in_order(names))
    if task.spec.answer is AnswerForm.OBJECT:
        return object_grammar(task.schema)
    return None


def object_grammar(schema: Json) -> str:
    """Return the grammar of compact JSON that fits a schema, keys in the order of its properties.

    An object whose schema names fields and does not say whether there may be others has none: the
    model could go on naming fields for ever. `additionalProperties: true` allows them.
    """
    whole = schema if isinstance(schema, dict) else {}
    # `additionalProperties` knows only the `properties` beside it: below `allOf`, a part that is
    # closed would refuse the fields of the other parts.
    closed = whole if "allOf" in _keywords(whole) else _closed(whole)
    given = {**closed, "x-guidance": _COMPACT} if isinstance(closed, dict) else {}
    return f"answer: %json {json.dumps(given, ensure_ascii=False)}"


def _rules(answer: str, *terminals: str) -> str:
    return "\n".join(["answer: ANSWER", f"ANSWER: {answer}", *terminals])


def _in_order(names: Sequence[str]) -> Iterator[str]:
    """Yield `FROM_i`: some of the names from the i-th on, at least one, in order, with separators."""
    last = len(names) - 1
    for place, name in enumerate(names):
        after = place + 1
        # Each rule goes on with the next one, so the grammar grows with the labels; all sets of
        # labels, written out, would double with each label.
        more = f" ({_quoted(SEPARATOR)} FROM_{after})? | FROM_{after}" if place < last else ""
        yield f"FROM_{place}: {name}{more}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _closed(schema: Json) -> Json:
    """Return the schema with objects that name fields closed, unless it says otherwise."""
    if not isinstance(schema, dict):
        return schema
    inner = {key: _closed_below(key, value, schema) for key, value in schema.items()}
    return {**inner, "additionalProperties": False} if _is_to_be_closed(schema) else inner


def _closed_below(key: str, value: Json, schema: Mapping[str, Json]) -> Json:
    if key in _MAPS and isinstance(value, dict):
        return {name: _closed(one) for name, one in value.items()}
    if key in _SINGLE:
        return _closed(value)
    # Beside `properties`, the forms of `anyOf` speak of the same object: each, closed by itself,
    # would refuse the fields that stand beside it.
    if key in _LISTS and isinstance(value, list) and "properties" not in schema:
        return [_closed(one) for one in value]
    return value


def _is_to_be_closed(schema: Mapping[str, Json]) -> bool:
    named = schema.get("properties")
    if not isinstance(named, dict) or not named:
        return False
    limits = ("additionalProperties", "patternProperties", *_COMBINING)
    required = schema.get("required")
    # A field that is required and not described could never be written in a closed object.
    others = set(required) - set(named) if isinstance(required, list) else set()
    return not others and not any(key in schema for key in limits)


def _keywords(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set(value).union(*map(_keywords, value.values()))
    return set().union(*map(_keywords, value)) if isinstance(value, list) else set()
