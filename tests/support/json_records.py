"""JSON of fixtures with one record a line: what fits into a line is on one."""

import json
from collections.abc import Iterable
from typing import Any

WIDTH = 280
"""Columns of a line with more than one value."""


def record_lines(value: Any, *, indent: int = 0) -> str:
    """Return a value as JSON; `indent`: that of the line which it continues."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(line) + indent <= WIDTH:
        return line
    if isinstance(value, list):
        return _enclosed("[]", (record_lines(one, indent=indent + 1) for one in value), indent)
    pairs = (
        f"{json.dumps(key)}: {record_lines(one, indent=indent + 1)}" for key, one in value.items()
    )
    return _enclosed("{}", pairs, indent)


def _enclosed(signs: str, parts: Iterable[str], indent: int) -> str:
    inner = ",\n".join(f"{' ' * (indent + 1)}{part}" for part in parts)
    return f"{signs[0]}\n{inner}\n{' ' * indent}{signs[1]}"
