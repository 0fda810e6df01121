"""Recipes drawn from the schema of the language: each key with a value of its kind, and some with one of another."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final

import yaml

from engine.recipe.validation.schema import schema_text
from support.odd_values import ODD

Node = Mapping[str, Any]
DEEPEST: Final = 9
WORDS: Final = (
    *(
        "text",
        "label",
        "{text}",
        "rows.csv",
        "base",
        "positive",
        "negative",
        "accuracy",
        "macro_f1",
    ),
    *("tiny", "trl", "0.9", "http://localhost:1/v1", "gguf", "a" * 40, "answers.jsonl"),
)
"""Of which some fit where a text is wanted."""


@cache
def _root() -> Node:
    found: Node = json.loads(schema_text("recipe.schema.json"))
    return found


def drawn_recipe(draw: random.Random, sound: Mapping[str, Any]) -> bytes:
    """Return a recipe that has parts of a sound one and parts drawn by the schema, as YAML."""
    root = _root()
    made = drawn_value(root, draw)
    if not isinstance(made, dict):
        made = {}
    for key, value in sound.items():
        if key not in made or draw.random() < 0.6:
            made[key] = value
    return recipe_text(made).encode("utf-8", "surrogatepass")


def recipe_text(value: Any) -> str:
    """Return a value as YAML, by libyaml, which writes ten times as fast but no half of a surrogate pair."""
    write = partial(yaml.dump, value, sort_keys=False, allow_unicode=True)
    try:
        return str(write(Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    except UnicodeError:
        return str(write(Dumper=yaml.SafeDumper))


def drawn_value(node: Node, draw: random.Random, depth: int = 0) -> Any:
    """Return a value that a part of the schema may describe."""
    if draw.random() < 0.03:
        return draw.choice(ODD)
    node = _resolved(node)
    for word in ("oneOf", "anyOf"):
        if node.get(word):
            return drawn_value(draw.choice(node[word]), draw, depth)
    if "const" in node:
        return node["const"]
    if node.get("enum"):
        return draw.choice(node["enum"])
    if node.get("examples") and draw.random() < 0.5:
        return draw.choice(node["examples"])
    kind = node.get("type", "object" if "properties" in node else "string")
    if isinstance(kind, Sequence) and not isinstance(kind, str):
        kind = draw.choice(list(kind))
    return _OF[kind](node, draw, depth)


def _resolved(node: Node) -> Node:
    while "$ref" in node:
        found: Any = _root()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _object(node: Node, draw: random.Random, depth: int) -> dict[str, Any]:
    keys = node.get("properties", {})
    share = 0.35 if depth else 0.6
    wanted = [key for key in keys if key in node.get("required", ()) or draw.random() < share]
    if depth >= DEEPEST:
        wanted = list(node.get("required", ()))
    found = {key: drawn_value(keys[key], draw, depth + 1) for key in wanted if key in keys}
    others = node.get("additionalProperties")
    if isinstance(others, Mapping) and depth < DEEPEST:
        for _ in range(draw.randrange(3)):
            found[draw.choice(WORDS)] = drawn_value(others, draw, depth + 1)
    if draw.random() < 0.02:
        found[draw.choice(WORDS)] = draw.choice(ODD)
    return found


def _array(node: Node, draw: random.Random, depth: int) -> list[Any]:
    items = node.get("items", {"type": "string"})
    if depth >= DEEPEST or not isinstance(items, Mapping):
        return []
    least = int(node.get("minItems", 0))
    return [drawn_value(items, draw, depth + 1) for _ in range(least + draw.choice((0, 1, 1, 2)))]


def _number(node: Node, draw: random.Random, _: int) -> float:
    low = float(node.get("minimum", node.get("exclusiveMinimum", 0)))
    high = float(node.get("maximum", node.get("exclusiveMaximum", low + 100)))
    return draw.choice((low, high, low + (high - low) * draw.random(), 10**9, -1.0))


def _integer(node: Node, draw: random.Random, depth: int) -> int:
    return int(_number(node, draw, depth))


_OF: Final[Mapping[str, Callable[[Node, random.Random, int], Any]]] = {
    "object": _object,
    "array": _array,
    "number": _number,
    "integer": _integer,
    "string": lambda _, draw, __: draw.choice(WORDS),
    "boolean": lambda _, draw, __: draw.random() < 0.5,
    "null": lambda *_: None,
}
