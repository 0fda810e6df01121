"""Print the schema of recipes, or explain one key of it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from engine.cli.output import show
from engine.cli.place import add_flag
from engine.errors import RecipeError
from engine.recipe.shipped import schema_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("key", metavar="KEY", nargs="?", help="such as method.rank; default: all")
    part = (
        "the schema for editors of a parent, or of a recipe that extends one: nothing is required"
    )
    add_flag(parser, "--part", part)


def run(options: argparse.Namespace) -> None:
    """Print it."""
    text = schema_text("recipe-part.schema.json" if options.part else "recipe.schema.json")
    show(_explained(options.key, json.loads(text)) if options.key else text)


def _explained(key: str, root: dict[str, Any]) -> str:
    node = root
    walked: list[str] = []
    for part in key.replace("[]", "").split("."):
        found = _children(node, root)
        if part not in found:
            raise _unknown(part, walked, list(found))
        walked.append(part)
        node = _resolved(found[part], root)
    return "\n".join(_lines(key, node, root))


def _unknown(part: str, walked: list[str], known: list[str]) -> RecipeError:
    from difflib import get_close_matches  # only for a mistake

    near = get_close_matches(part, known, 1)
    where = f"`{'.'.join(walked)}`" if walked else "a recipe"
    hint = f"did you mean `{near[0]}`?" if near else f"keys there: {', '.join(known)}"
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
    parts = [*node.get("oneOf", []), *node.get("anyOf", []), *node.get("allOf", [])]
    for part in [*parts, *([node["items"]] if "items" in node else [])]:
        for name, child in _children(part, root).items():
            found.setdefault(name, child)
    return found


def _lines(key: str, node: dict[str, Any], root: dict[str, Any]) -> list[str]:
    lines = [f"{key}", f"  {node.get('description', 'no description')}"]
    if "enum" in node:
        lines.append(f"  one of: {', '.join(json.dumps(value) for value in node['enum'])}")
    if "default" in node:
        lines.append(f"  default: {json.dumps(node['default'], ensure_ascii=False)}")
    examples = node.get("examples", [])[:2]
    lines += [f"  example: {json.dumps(value, ensure_ascii=False)}" for value in examples]
    children = _children(node, root)
    if children:
        lines.append(f"  keys: {', '.join(children)}")
    return lines
