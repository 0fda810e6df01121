"""What lists and objects in a column hold of a task: marked parts of a text, answers that are objects, turns."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.data.examples.chat_formats import TURNS
from engine.data.examples.template import found_at
from engine.data.examples.turns import ROLES
from engine.drafting.column_profile import NAMES, Profile, leaves_of
from engine.drafting.layout_table import WORDS, objects
from engine.files.reading import parse_json

ROWS: Final = 5000
"""Rows that are looked at for answers, marked parts and turns."""
TYPES: Final = {
    type(None): "null", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object",
}  # fmt: skip
Keys = dict[str, Any]
"""Dotted keys of a recipe and their values."""


def _object_keys(properties: Mapping[str, Any], key: str, answer: object) -> Keys:
    """Return the keys for answers that are objects, and the key that says where they are."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {f"data.answer.{key}": answer, "task.schema": schema}


def spans_in(profile: Profile, text: str) -> Keys:
    """Return the keys for a column of stretches of a text; empty where there is none."""

    def last(path: str) -> str:
        return path.removesuffix(".0").lower().rpartition(".")[2]

    for column in (c.name for c in profile.having("-item") if c.objects and c.name != text):
        wholes: set[str] = set()
        counts: dict[str, Counter[str]] = {}
        for name, value in (x for mark in profile.objects(column, ROWS) for x in leaves_of(mark)):
            is_one = isinstance(value, list) and len(value) == 1
            path, one = (f"{name}.0", value[0]) if is_one else (name, value)
            if isinstance(one, str):
                counts.setdefault(path, Counter())[one] += 1
            elif type(value) is int:  # `isinstance` would take `True` too
                wholes.add(name)
        start, end = (
            min((name for name in wholes if last(name) in WORDS[what]), default="")
            for what in ("starts", "ends")
        )
        few = {name: seen for name, seen in counts.items() if len(seen) <= 60}
        if not start or not end or not few:
            continue
        # By its name; else what takes the fewest values.
        name = min(few, key=lambda n: (last(n) not in WORDS["names"], len(few[n])))
        lists = [found for row in profile.kept if objects(found := found_at(row, column))]
        called = [Counter(str(found_at(mark, name)) for mark in marks) for marks in lists]
        several = {one for some in called for one, count in some.items() if count > 1}
        kind = {"type": "string"}
        fields = {
            one: {"type": "array", "items": kind} if one in several else kind
            for one, _ in few[name].most_common()
        }
        places = {"column": column, "name": name, "start": start, "end": end, "of": text}
        return _object_keys(fields, "spans", places)
    return {}


def fields_in(profile: Profile, names: Sequence[str]) -> Keys:
    """Return the keys for columns that are the fields of an answer."""
    found = {}
    for column in map(profile.columns.__getitem__, names):
        # Numbers with leading zeros are codes, and stay texts.
        whole = column.is_number and all(
            re.fullmatch(r"0|-?[1-9][0-9]{0,14}", one) for one in column.values
        )
        found[column.name] = {} if column.lists else {"type": "integer" if whole else "string"}
    return _object_keys(found, "fields", {name: name for name in names})


def turns_in(profile: Profile) -> Keys:
    """Return the keys for a column of turns between two speakers; empty where there is none."""
    for column in profile.columns.values():
        turns = profile.objects(column.name, ROWS) if column.objects else []
        if len(turns) <= len(profile.kept[:ROWS]) or "." in column.name:
            continue
        role, content = (
            next((name for name in NAMES[what] if name in turns[0]), "")
            for what in ("speaker", "saying")
        )
        names = list(dict.fromkeys(str(turn.get(role)) for turn in turns))
        # With two speakers; with only one, the answer stands elsewhere.
        systems = [n for n in names if n.lower() in ("system", "developer") and names[2:]]
        speakers = [name for name in names if name not in systems]
        if not role or not content or len(speakers) != 2 or speakers[0].lower() == "system":
            continue
        # Where two people speak, one of them called `system`, that is the one who answers.
        known = {name: NAMES["roles of speakers"].get(name.lower(), "") for name in speakers}
        if {*known.values()} != {"user", "assistant"}:
            known = dict(zip(speakers, ("user", "assistant"), strict=True))
        roles = dict.fromkeys(systems, "system") | known
        return {
            "data.messages": {
                "column": column.name, "role": role, "content": content, "roles": roles
            }
        }  # fmt: skip
    return {}


def one_round(profile: Profile) -> tuple[str, str, str] | None:
    """Return the paths of question and answer, and the system message that all rows share.

    None for conversations, of which some row has more than one of each.
    """
    rows = profile.kept[:ROWS]
    name = next((n for n in TURNS if rows and all(isinstance(r.get(n), list) for r in rows)), "")
    layouts = set()
    for turns in (row[name] for row in rows if name):
        first = turns[0] if turns and objects(turns) else {}
        content = next((key for key in ("content", "value") if key in first), "")
        role = "from" if "from" in first else "role"
        # A turn may hold more than a text.
        is_text = content and all(isinstance(turn.get(content), str) for turn in turns)
        speakers = [ROLES.get(str(turn.get(role)), "") for turn in turns] if is_text else []
        layouts.add((*speakers, content))
    *speakers, content = layouts.pop() if len(layouts) == 1 else ("",)
    if speakers not in (["user", "assistant"], ["system", "user", "assistant"]):
        return None
    at = len(speakers) - 2
    # Anthropic's rows have the system message in a column of its own.
    systems = {str(found_at(row, f"{name}.0.{content}" if at else "system") or "") for row in rows}
    system = systems.pop() if len(systems) == 1 else ""
    return f"{name}.{at}.{content}", f"{name}.{at + 1}.{content}", system


def objects_in(profile: Profile, path: str) -> Keys:
    """Return the keys for a column of JSON objects; empty where others are there."""
    values = [found_at(row, path) for row in profile.kept[:ROWS]]
    found = []
    for value in values:
        try:
            is_text = isinstance(value, str) and value.lstrip().startswith("{")
            found.append(parse_json(value) if is_text else value)
        except ValueError:
            continue
    found = [one for one in found if isinstance(one, Mapping)]
    filled = sum(value not in (None, "") for value in values)
    schema = _schema(found).get("properties", {})
    # Objects of many keys that never come again are maps, and no schema describes what is in them.
    is_known = 0 < len(schema) <= 30 and len(found) >= 0.97 * filled
    return _object_keys(schema, "column", path) if is_known else {}


def _schema(values: Sequence[Any]) -> dict[str, Any]:
    """Return the narrowest schema that all values fit, without bounds; empty where nothing is known of them."""
    types = list(dict.fromkeys(TYPES.get(type(value), "string") for value in values))
    if not types:
        return {}
    if "number" in types:
        types = [name for name in types if name != "integer"]
    found: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if items := _schema([item for one in values if isinstance(one, list) for item in one]):
        found["items"] = items
    if inside := [value for value in values if isinstance(value, Mapping)]:
        names = dict.fromkeys(name for one in inside for name in one)
        found["properties"] = {
            name: _schema([one[name] for one in inside if name in one]) for name in names
        }
    return found
