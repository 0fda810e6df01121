"""Writes into `report.v1.schema.json` what `engine.evidence` has and the schema lacks: `python schemas/make_report.py`.

Descriptions come from the docstrings; parts and fields that stand there already are left as they are.
"""

from __future__ import annotations

import ast
import inspect
import json
import types
from enum import StrEnum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from engine import evidence
from engine.values import Value, fields

FILE = Path(__file__).with_name("report.v1.schema.json")
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def main() -> None:
    """Fill in the schema file."""
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    named: list[type] = [evidence.Report]
    for part in named:
        own = schema if part is evidence.Report else schema["$defs"].setdefault(part.__name__, {})
        _complete(own, part, named)
    FILE.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _complete(own: dict[str, Any], part: type, named: list[type]) -> None:
    """Give one part every field of its dataclass, in order; note the dataclasses it refers to."""
    names = [field.name for field in fields(part)]
    own.setdefault("description", (part.__doc__ or "").partition("\n")[0])
    own |= {"type": "object", "additionalProperties": False, "required": names}
    before, texts = own.pop("properties", {}), _texts(part)
    hints = get_type_hints(part)
    own["properties"] = {}
    for name in names:
        _note(hints[name], named)
        description = {"description": texts[name]} if name in texts else {}
        own["properties"][name] = before.get(name) or {**description, **_form(hints[name])}


def _is_value(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Value)


def _note(hint: Any, named: list[type]) -> None:
    if _is_value(hint) and hint not in named:
        named.append(hint)
    for inner in get_args(hint):
        _note(inner, named)


def _texts(part: type) -> dict[str, str]:
    """First lines of the strings under the fields."""
    body = ast.parse(inspect.getsource(part)).body[0]
    found: dict[str, str] = {}
    name = ""
    for node in getattr(body, "body", []):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = str(node.value.value).strip().partition("\n")[0]
    return found


def _form(hint: Any) -> dict[str, Any]:
    """JSON Schema of a type of the evidence."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if hint is Any:
        return {}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"enum": [member.value for member in hint]}
    if _is_value(hint):
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if origin in (Union, types.UnionType):
        is_number = {int, float} <= {*inner}
        return _optional([i for i in inner if i is not type(None) and not (is_number and i is int)])
    if origin is dict:
        return {"type": "object", "additionalProperties": _form(inner[1])}
    if origin is tuple and inner[-1] is Ellipsis:
        return {"type": "array", "items": _form(inner[0])}
    if origin is tuple:
        forms = [_form(one) for one in inner]
        return {"type": "array", "prefixItems": forms, "minItems": len(forms), "items": False}
    raise TypeError(hint)


def _optional(inner: list[Any]) -> dict[str, Any]:
    form = _form(inner[0])
    if isinstance(form.get("type"), str) and len(form) == 1:
        return {"type": [form["type"], "null"]}
    return {"anyOf": [form, {"type": "null"}]}


if __name__ == "__main__":
    main()
