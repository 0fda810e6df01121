"""Rules about the schema of an answer that is an object."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.recipe.patterns import MAPS, UNREADABLE, compiled, python_pattern, schema_at
from engine.recipe.rules import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import with_suggestion
from engine.recipe.validation.schema_errors import show

_SCHEMA: Final = ("task", "schema")
_REFERENCES: Final = ("$ref", "$dynamicRef")
_DATA: Final = ("const", "enum", "default", "examples")
"""Keywords whose values are data, not schemas."""
_TYPES: Final = ("string", "number", "integer", "boolean", "object", "array", "null")


@rule("task.kind", "task.schema")
def schema_can_be_checked(recipe: SourceText) -> Problems:
    schema = recipe["task"].get("schema")
    if not isinstance(schema, Mapping) or "task.schema" not in recipe.kind.reads:
        return
    if schema.get("type") != "object":
        message = "an answer is an object, so its type must be `object`"
        yield recipe.problem("R245", message, at=_SCHEMA, key=True)
    for at, message in (*_form_faults(schema), *_inner_faults(schema, schema, _SCHEMA)):
        yield recipe.problem("R245", message, at=at, key=True)


def _form_faults(schema: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what draft 2020-12 does not allow, at its place."""
    from jsonschema import Draft202012Validator  # tens of milliseconds

    checker = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    first: dict[KeyPath, Any] = {}
    for error in checker.iter_errors(schema):
        first.setdefault((*_SCHEMA, *error.path), error)
    for at, error in first.items():
        shown = show(error.instance) if isinstance(error.instance, str) else "this"
        if at[-1] == "type":
            yield at, f"no such type: {shown}; types are {', '.join(_TYPES)}"
        else:
            yield at, f"{shown} is not allowed here: draft 2020-12 has another form of `{at[-1]}`"


def _inner_faults(
    node: object, root: Mapping[str, Any], at: KeyPath, *, has_names: bool = False
) -> Iterator[tuple[KeyPath, str]]:
    """Yield bad references and patterns; `has_names`: the keys of the node are names of fields, not keywords."""
    if isinstance(node, list):
        for position, item in enumerate(node):
            yield from _inner_faults(item, root, (*at, position))
    if not isinstance(node, Mapping):
        return
    for name, value in node.items():
        here = (*at, name)
        if not has_names and isinstance(value, str):
            yield from ((here, fault) for fault in _faults_of(name, value, root))
        if not has_names and name == "patternProperties" and isinstance(value, Mapping):
            for pattern in value:
                faults = _faults_of("pattern", pattern, root)
                yield from (((*here, pattern), fault) for fault in faults)
        if has_names or name not in _DATA:
            is_map = not has_names and name in MAPS
            yield from _inner_faults(value, root, here, has_names=is_map)


def _faults_of(name: str, value: str, root: Mapping[str, Any]) -> Iterator[str]:
    if name in _REFERENCES:
        yield from _reference_faults(value, root)
    if name == "$id":
        yield "a name of its own would change what references mean"
    if name == "pattern":
        try:
            compiled(python_pattern(value))
        except UNREADABLE as error:
            yield f"the pattern {show(value)} cannot be read: {error}"


def _reference_faults(reference: str, root: Mapping[str, Any]) -> Iterator[str]:
    # Whoever checks an answer could read or fetch another file or address.
    if reference != "#" and not reference.startswith("#/"):
        yield f"{show(reference)} is not in this recipe; write `#/$defs/NAME`"
        return
    seen: list[str] = []
    node: object = {"$ref": reference}
    while isinstance(node, Mapping) and isinstance(node.get("$ref"), str):
        reference = node["$ref"]
        if reference in seen:
            yield f"{show(reference)} refers to itself and never ends"
            return
        seen.append(reference)
        node = schema_at(root, reference)
        if node is None:
            yield f"{show(reference)} leads to nothing that describes a value"


@rule("task.schema", "data.answer")
def fields_are_in_the_schema(recipe: SourceText) -> Problems:
    schema, answer = recipe["task"].get("schema"), recipe["data"].get("answer")
    if not isinstance(schema, Mapping) or answer is None:
        return
    properties = schema.get("properties", {})
    if schema.get("additionalProperties") is not False or not isinstance(properties, Mapping):
        return
    for field in answer["fields"]:
        if field not in properties:
            hint = with_suggestion(f"fields are {', '.join(properties)}", field, properties)
            message = f"`task.schema` allows no field {show(field)}"
            at = ("data", "answer", "fields", field)
            yield recipe.problem("R248", message, at=at, key=True, hint=hint)
