"""Answers that say what the task is: JSON objects, a few that come again, lists of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.data.examples.turns import ROLES
from engine.drafting.choices import Guess
from engine.drafting.profile import NAMES, ColumnProfile, Profile, may_be_called
from engine.drafting.roles import VERBATIM, is_label, separator_of
from engine.files.reading import parse_json
from engine.values import replace

TURNS: Final = ("messages", "conversations", "conversation")
CONTENTS: Final = ("content", "value")
ROWS: Final = 5000
"""Rows whose answers are checked."""
NEARLY: Final = 0.97
MOST_FIELDS: Final = 30
NAMING: Final = ("name", "value", "title", "text")
"""Keys of an object that say what it is called."""


def by_answers(profile: Profile, kind: str) -> Guess | None:
    """Return what rows of one question and one answer are by their answers; None for free texts and conversations."""
    known = _one_round(profile)
    if known is None:
        return None
    answers = column_of(profile, known.label)
    properties = schema_at(profile, known.label)
    separator = separator_of(answers)
    different = f"{len(answers.values)} different answers"
    rows: tuple[tuple[str, object, str, str], ...] = (
        ("extraction", properties, "every answer is a JSON object", f"{len(properties)} fields"),
        ("classification", is_label(answers), "the answers are a few that come again", different),
        ("multilabel", separator, "the answers list a few labels that come again", f"divided by `{separator}`"),
    )  # fmt: skip
    for name, found, why, why_label in rows:
        if found and kind in ("", name):
            return replace(
                known, kind=name, why_kind=why, why_label=why_label,
                properties=properties if name == "extraction" else (),
                separator=separator or "" if name == "multilabel" else "",
            )  # fmt: skip
    return None


def _one_round(profile: Profile) -> Guess | None:
    """Return where question and answer are, where every row has one of each; None for real conversations."""
    rows = profile.kept[:ROWS]
    name = next((n for n in TURNS if rows and all(isinstance(r.get(n), list) for r in rows)), "")
    layouts = {_layout(row[name]) for row in rows} if name else set()
    if len(layouts) != 1 or (layout := layouts.pop()) is None:
        return None
    speakers, content = layout
    if speakers not in (("user", "assistant"), ("system", "user", "assistant")):
        return None
    at = len(speakers) - 2
    text, answer = (f"{name}.{place}.{content}" for place in (at, at + 1))
    # Anthropic's rows have the system message in a column of its own.
    systems = {str(found_at(row, f"{name}.0.{content}" if at else "system") or "") for row in rows}
    return Guess(
        kind="", why_kind="", text=text, why_text="the turn of the user", label=answer,
        system=systems.pop() if len(systems) == 1 else "",
    )  # fmt: skip


def _layout(turns: Sequence[Any]) -> tuple[tuple[str, ...], str] | None:
    """Return the roles of the turns and the key of their texts; None where a turn holds more than a text."""
    if not turns or not all(isinstance(turn, Mapping) for turn in turns):
        return None
    content = next((key for key in CONTENTS if key in turns[0]), "")
    if any(not isinstance(turn.get(content), str) for turn in turns):
        return None
    role = "from" if "from" in turns[0] else "role"
    return tuple(ROLES.get(str(turn.get(role)), "") for turn in turns), content


def objects_beside(profile: Profile, text: str, label: str) -> Guess | None:
    """Return an extraction whose answers are JSON objects in a column of their own; None where none holds them."""
    names = dict.fromkeys(str(name) for row in profile.kept[:50] for name in row)
    for name in [label] if label else names:
        is_metadata = name.lower() in NAMES["object of metadata"]
        if name == text or text.startswith(f"{name}.") or is_metadata:
            continue
        properties = schema_at(profile, name)
        if not properties or (not label and _says_one_thing(profile, name)):
            continue
        if label or may_be_called(name, "object") or _are_verbatim(profile, name, text):
            return Guess(
                kind="extraction",
                why_kind=f"`{name}` holds a JSON object for each text",
                label=name,
                why_label=f"{len(properties)} fields",
                properties=properties,
            )
    return None


def _says_one_thing(profile: Profile, name: str) -> bool:
    """Whether the objects are a label with its number: `{"id": 3, "name": "billing"}`."""
    objects = [row[name] for row in profile.kept[:50] if isinstance(row.get(name), Mapping)]
    keys = {key for one in objects for key in one}
    called = next((key for key in NAMING if key in keys), "")
    column = profile.columns.get(f"{name}.{called}")
    return bool(called and column and keys <= set(NAMES["one thing"]) and is_label(column))


def _are_verbatim(profile: Profile, name: str, text: str) -> bool:
    """Whether most values of the objects are word for word in the texts."""
    leaves = [
        str(value).casefold() in str(found_at(row, text) or "").casefold()
        for row in profile.kept[:500]
        if isinstance(item := row.get(name), Mapping)
        for value in item.values()
        if isinstance(value, str | int | float)
    ]
    return sum(leaves) >= VERBATIM * max(1, len(leaves))


def column_of(profile: Profile, path: str) -> ColumnProfile:
    """Return the counts of the values at a path, which may be deeper than those that are counted of a file."""
    if path in profile.columns:
        return profile.columns[path]
    column = ColumnProfile(name=path)
    for row in profile.kept:
        column.add(found_at(row, path))
    return column


def schema_at(profile: Profile, path: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the properties of the JSON objects at a path, in their order; none where others are there."""
    values = [found_at(row, path) for row in profile.kept[:ROWS]]
    objects = [one for one in map(_object, values) if one is not None]
    filled = sum(value not in (None, "") for value in values)
    names = Counter(name for one in objects for name in one)
    # Objects of many keys that never come again are maps, and no schema says what is in them.
    if not names or len(objects) < NEARLY * filled or len(names) > MOST_FIELDS:
        return ()
    return tuple((name, _schema([one[name] for one in objects if name in one])) for name in names)


def _object(value: object) -> Mapping[str, Any] | None:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = parse_json(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) else None


TYPES: Final = {
    type(None): "null", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object",
}  # fmt: skip


def _schema(values: Sequence[Any]) -> dict[str, Any]:
    """Return the narrowest schema that all values fit, without bounds; empty where nothing is known of them."""
    types = list(dict.fromkeys(TYPES.get(type(value), "string") for value in values))
    if not types:
        return {}
    if "number" in types:
        types = [name for name in types if name != "integer"]
    found: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    lists = [value for value in values if isinstance(value, list)]
    if items := _schema([item for value in lists for item in value]):
        found["items"] = items
    objects = [value for value in values if isinstance(value, Mapping)]
    if objects:
        names = dict.fromkeys(name for one in objects for name in one)
        found["properties"] = {
            name: _schema([one[name] for one in objects if name in one]) for name in names
        }
    return found
