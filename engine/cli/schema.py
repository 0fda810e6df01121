"""Print the schema of recipes, or explain one key of it."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from engine.cli.output import show
from engine.errors import RecipeError
from engine.recipe.validation.schema import schema_text

_ITEM: Final = re.compile(r"\.?\[[0-9]*\]")
"""An item of a list, as messages and reviews name it: a key is the same in each."""


def run(options: argparse.Namespace) -> None:
    text = schema_text("recipe-part.schema.json" if options.part else "recipe.schema.json")
    show(_explained(options.key, json.loads(text)) if options.key else text)


def _explained(key: str, root: dict[str, Any]) -> str:
    node = root
    walked: list[str] = []
    is_own_name = False
    for part in _ITEM.sub("", key).split("."):
        found = _children(node, root)
        own = next(_values_of_own_names(node, root), None)
        if part in found:
            node, is_own_name = _resolved(found[part], root), False
        elif own is not None:
            node, is_own_name = own, True
        elif not is_own_name:  # such a name may hold points: `f1.billing`
            raise _unknown(part, walked, list(found))
        walked.append(part)
    return "\n".join(_lines(key, node, root))


def _unknown(part: str, walked: list[str], known: list[str]) -> RecipeError:
    from difflib import get_close_matches  # only for a mistake

    near = get_close_matches(part, known, 1)
    where = f"`{'.'.join(walked)}`" if walked else "a recipe"
    keys = f"keys there: {', '.join(known)}" if known else None
    hint = f"did you mean `{near[0]}`?" if near else keys
    return RecipeError.one("R104", f"{where} has no key `{part}`", hint=hint)


def _resolved(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = {**target, **{name: value for name, value in node.items() if name != "$ref"}}
    return node


def _children(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    node = _resolved(node, root)
    found: dict[str, Any] = dict(node.get("properties", {}))
    for part in _parts(node):
        for name, child in _children(part, root).items():
            found.setdefault(name, child)
    return found


def _parts(node: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [*node.get("oneOf", []), *node.get("anyOf", []), *node.get("allOf", [])]
    return [*parts, *([node["items"]] if "items" in node else [])]


def _values_of_own_names(node: dict[str, Any], root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    node = _resolved(node, root)
    if isinstance(node.get("additionalProperties"), dict):
        yield _resolved(node["additionalProperties"], root)
    for part in _parts(node):
        yield from _values_of_own_names(part, root)


def _lines(key: str, node: dict[str, Any], root: dict[str, Any]) -> list[str]:
    lines = [f"{key}", f"  {node.get('description', 'no description')}"]
    if "enum" in node:
        lines.append(f"  one of: {', '.join(json.dumps(value) for value in node['enum'])}")
    if "default" in node:
        lines.append(f"  default: {json.dumps(node['default'], ensure_ascii=False)}")
    elif "x-default" in node:
        lines.append(f"  default: {node['x-default']}")
    examples = node.get("examples", [])[:2]
    lines += [f"  example: {json.dumps(value, ensure_ascii=False)}" for value in examples]
    children = _children(node, root)
    if children:
        lines.append(f"  keys: {', '.join(children)}")
    return lines
