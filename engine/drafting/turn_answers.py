"""Rows of one question and one answer in the shape of a chat: what the answers are says what the task is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.data.examples.turns import ROLES
from engine.drafting.profile import ColumnProfile, Profile
from engine.files.reading import parse_json

TURNS: Final = ("messages", "conversations", "conversation")
CONTENTS: Final = ("content", "value")
ROWS: Final = 5000
"""Rows whose answers are looked at."""
NEARLY: Final = 0.97
MOST_FIELDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRound:
    """Where question and answer of every row stand."""

    text: str
    answer: str
    system: str = ""
    """What every row's system message says; empty where they differ or there is none."""


def one_round(profile: Profile) -> OneRound | None:
    """Return the paths of question and answer where every row has one of each; None for real conversations."""
    rows = profile.kept[:ROWS]
    name = next((n for n in TURNS if all(isinstance(r.get(n), list) for r in rows)), None)
    if name is None or not rows:
        return None
    layouts = {_layout(row[name]) for row in rows}
    if len(layouts) != 1 or (layout := layouts.pop()) is None:
        return None
    roles, content = layout
    if roles not in (("user", "assistant"), ("system", "user", "assistant")):
        return None
    at = len(roles) - 2
    text, answer = (f"{name}.{place}.{content}" for place in (at, at + 1))
    # Anthropic's rows have the system message in a column of its own.
    where = f"{name}.0.{content}" if at else "system"
    systems = {str(found_at(row, where) or "") for row in rows}
    return OneRound(text=text, answer=answer, system=systems.pop() if len(systems) == 1 else "")


def _layout(turns: Sequence[Any]) -> tuple[tuple[str, ...], str] | None:
    """Return the roles of the turns and the key of their texts; None where a turn holds more than a text."""
    if not turns or not all(isinstance(turn, Mapping) for turn in turns):
        return None
    content = next((key for key in CONTENTS if key in turns[0]), "")
    if any(not isinstance(turn.get(content), str) for turn in turns):
        return None
    role = "from" if "from" in turns[0] else "role"
    return tuple(ROLES.get(str(turn.get(role)), "") for turn in turns), content


def column_of(profile: Profile, path: str) -> ColumnProfile:
    """Return the counts of the values at a path, which may be deeper than those that are counted of a file."""
    if path in profile.columns:
        return profile.columns[path]
    column = ColumnProfile(name=path)
    for row in profile.kept:
        column.add(found_at(row, path))
    return column


def schema_at(profile: Profile, path: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the properties of the JSON objects at a path, in their order; none where others stand there."""
    values = [found_at(row, path) for row in profile.kept[:ROWS]]
    objects = [one for one in map(_object, values) if one is not None]
    filled = sum(value not in (None, "") for value in values)
    if not objects or len(objects) < NEARLY * filled:
        return ()
    names = Counter(name for one in objects for name in one)
    # Objects of many keys that never come again are maps, and no schema says what is in them.
    if not names or len(names) > MOST_FIELDS:
        return ()
    return tuple(
        (name, merged([schema_of(one[name]) for one in objects if name in one])) for name in names
    )


def _object(value: object) -> Mapping[str, Any] | None:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = parse_json(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) else None


def schema_of(value: object) -> dict[str, Any]:
    """Return the narrowest schema of one value, without bounds."""
    if value is None or isinstance(value, bool):
        return {"type": "null" if value is None else "boolean"}
    if isinstance(value, int | float):
        return {"type": "integer" if isinstance(value, int) else "number"}
    if isinstance(value, list):
        items = merged([schema_of(item) for item in value])
        return {"type": "array", "items": items} if items else {"type": "array"}
    if isinstance(value, Mapping):
        return {
            "type": "object",
            "properties": {name: schema_of(below) for name, below in value.items()},
        }
    return {"type": "string"}


def merged(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one schema that each of the values fits; empty where nothing is known of them."""
    types = list(dict.fromkeys(_types(schemas)))
    if not types:
        return {}
    if "number" in types:
        types = [name for name in types if name != "integer"]
    found: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    items = [schema["items"] for schema in schemas if "items" in schema]
    if items:
        found["items"] = merged(items)
    below = [schema["properties"] for schema in schemas if "properties" in schema]
    if below:
        names = dict.fromkeys(name for one in below for name in one)
        found["properties"] = {
            name: merged([one[name] for one in below if name in one]) for name in names
        }
    return found


def _types(schemas: Sequence[dict[str, Any]]) -> Iterator[str]:
    for schema in schemas:
        named = schema.get("type", [])
        yield from [named] if isinstance(named, str) else named
