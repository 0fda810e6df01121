"""Grammars of a task's answers, as texts that any process can read."""

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
"""Options of llguidance to write JSON as `write_object` does."""
_COMBINING: Final = ("allOf", "anyOf", "oneOf", "$ref", "$dynamicRef", "if", "not")
_MAPS: Final = ("properties", "$defs", "definitions", "patternProperties")
"""Keywords with schemas by name."""
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
        # Split around an empty list: the blanks are those that `json.dumps` writes.
        before, after = json.dumps({JSON_LIST_KEY: []}).split("[]")
        whole = f"{_quoted(before + '[')} FROM_0? {_quoted(']' + after)}"
        return _rules(whole, *_in_order(names))
    if task.spec.answer is AnswerForm.OBJECT:
        return object_grammar(task.schema)
    return None


def object_grammar(schema: Json) -> str:
    """Return the grammar of compact JSON that fits a schema, keys in the order of its properties.

    If the schema of an object names fields, the object has no others: the model could name fields for ever.
    `additionalProperties: true` allows them.
    """
    whole = schema if isinstance(schema, dict) else {}
    # `additionalProperties` refers only to the `properties` of the same schema: below `allOf`, a closed part would
    # refuse the fields of the other parts.
    closed = whole if "allOf" in _keywords(whole) else _closed(whole)
    guided = {**closed, "x-guidance": _COMPACT} if isinstance(closed, dict) else {}
    return f"answer: %json {json.dumps(guided, ensure_ascii=False)}"


def _rules(answer: str, *terminals: str) -> str:
    return "\n".join(["answer: ANSWER", f"ANSWER: {answer}", *terminals])


def _in_order(names: Sequence[str]) -> Iterator[str]:
    """Yield the rules `FROM_i`: one or more of the names from the i-th on, in order, with separators."""
    last = len(names) - 1
    for place, name in enumerate(names):
        after = place + 1
        # Each rule refers to the next one, so that the grammar grows with the labels; a list of all sets of labels
        # would double with each label.
        more = f" ({_quoted(SEPARATOR)} FROM_{after})? | FROM_{after}" if place < last else ""
        yield f"FROM_{place}: {name}{more}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _closed(schema: Json) -> Json:
    """Return the schema with objects that name fields closed, unless it specifies otherwise."""
    if not isinstance(schema, dict):
        return schema
    properties, required = schema.get("properties"), schema.get("required")
    limits = ("additionalProperties", "patternProperties", *_COMBINING)
    inner = {key: _closed_below(key, value, schema) for key, value in schema.items()}
    if not isinstance(properties, dict) or not properties or any(key in schema for key in limits):
        return inner
    # A required field without a description could never be written in a closed object.
    others = set(required) - set(properties) if isinstance(required, list) else set()
    return inner if others else {**inner, "additionalProperties": False}


def _closed_below(key: str, value: Json, schema: Mapping[str, Json]) -> Json:
    if key in _MAPS and isinstance(value, dict):
        return {name: _closed(part) for name, part in value.items()}
    if key in _SINGLE:
        return _closed(value)
    # With `properties`, the forms of `anyOf` are of the same object: a closed form would refuse these fields.
    if key in _LISTS and isinstance(value, list) and "properties" not in schema:
        return [_closed(part) for part in value]
    return value


def _keywords(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set(value).union(*map(_keywords, value.values()))
    return set().union(*map(_keywords, value)) if isinstance(value, list) else set()
