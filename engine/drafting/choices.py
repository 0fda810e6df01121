"""What the task is taken to be and what the user fixed of it; what lists and objects in a column hold of it."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.data.examples.chat_formats import TURNS
from engine.data.examples.template import found_at
from engine.data.examples.turns import ROLES
from engine.drafting.layout_table import WORDS, objects
from engine.drafting.profile import NAMES, Profile, leaves_of
from engine.files.reading import parse_json
from engine.recipe.model import Reference
from engine.values import Value, field

ROWS: Final = 5000
"""Rows that are looked at for answers, marked parts and turns."""
CHOSEN: Final = "you chose it"
Keys = dict[str, Any]
"""Dotted keys of a recipe and their values."""


class DraftOptions(Value):
    """What the user fixed on the command line instead of leaving it to a guess."""

    kind: str = ""
    text: str = ""
    label: str = ""
    base_model: Reference | None = None
    encoding: str = "utf-8"


class Guess(Value):
    kind: str
    why_kind: str
    text: str = ""
    """Column of the text; empty where the shape of the rows says it."""
    why_text: str = ""
    label: str = ""
    """Column of the label or answer."""
    why_label: str = ""
    keys: Keys = field(default_factory=dict)
    """What a recipe has to say of objects, turns and pairs of answers."""
    shape: str = ""
    separator: str = ""
    """Multilabel: what divides the labels in one text; empty for lists."""
    inputs: tuple[str, ...] = ()
    """Columns that are the text together; empty where `text` is all of it."""
    system: str = ""
    """The system message that all rows share."""
    instruction: str = ""
    """The question that all rows ask in the same words."""
    split: str = ""
    """The column that says which split a row belongs to."""

    @property
    def texts(self) -> tuple[str, ...]:
        return self.inputs or ((self.text,) if self.text else ())

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of an answer that is an object."""
        return tuple(self.keys.get("task.schema", {}).get("properties", ()))

    @property
    def used(self) -> tuple[str, ...]:
        """The columns that the recipe reads."""
        keys = self.keys
        return (*self.needed, *keys.get("data.answer.fields", ()), self.label, self.split)

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that every row must have; fields of an answer may be absent."""
        label = () if self.fields or not self.label else (self.label,)
        return (*self.texts, *self.keys.get("data.pair", {}).values(), *label)


def object_keys(properties: Mapping[str, Any], key: str, answer: object) -> Keys:
    """Return the keys for answers that are objects, and the key that says where they are."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {f"data.answer.{key}": answer, "task.schema": schema}


def spans_in(profile: Profile, text: str) -> Keys:
    """Return the keys for a column of stretches of a text; empty where there is none."""

    def last(path: str) -> str:
        return path.removesuffix(".0").lower().rpartition(".")[2]

    for column in (c.name for c in profile.having("-item") if c.objects and c.name != text):
        leaves = [dict(leaves_of(item)) for item in profile.objects(column, ROWS)]
        # By type and not by `isinstance`: `bool` is an `int` in Python.
        whole = sorted({name for leaf in leaves for name, one in leaf.items() if type(one) is int})
        start, end = (
            next((n for n in whole if last(n) in WORDS[what]), "") for what in ("starts", "ends")
        )
        counts: dict[str, Counter[str]] = {}
        for name, value in (one for leaf in leaves for one in leaf.items()):
            if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
                counts.setdefault(f"{name}.0", Counter())[value[0]] += 1
            elif isinstance(value, str):
                counts.setdefault(name, Counter())[value] += 1
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
        return object_keys(fields, "spans", places)
    return {}


def fields_in(profile: Profile, names: Sequence[str]) -> Keys:
    """Return the keys for columns that are the fields of an answer."""
    found = {}
    for name in names:
        column = profile.columns[name]
        # Numbers with leading zeros are codes, and stay texts.
        are_whole = column.is_number and all(
            re.fullmatch(r"0|-?[1-9][0-9]{0,14}", one) for one in column.values
        )
        found[name] = {} if column.lists else {"type": "integer" if are_whole else "string"}
    return object_keys(found, "fields", {name: name for name in names})


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
        if set(known.values()) != {"user", "assistant"}:
            known = dict(zip(speakers, ("user", "assistant"), strict=True))
        roles = dict.fromkeys(systems, "system") | known
        places = {"column": column.name, "role": role, "content": content, "roles": roles}
        return {"data.messages": places}
    return {}


def one_round(profile: Profile) -> Guess | None:
    """Return where question and answer are, where every row has one of each; None for real conversations."""
    rows = profile.kept[:ROWS]
    name = next((n for n in TURNS if rows and all(isinstance(r.get(n), list) for r in rows)), "")
    layouts = set()
    for turns in (row[name] for row in rows if name):
        first = turns[0] if turns and objects(turns) else {}
        content = next((key for key in ("content", "value") if key in first), "")
        role = "from" if "from" in first else "role"
        speakers = tuple(ROLES.get(str(turn.get(role)), "") for turn in turns if first)
        # A turn may hold more than a text.
        is_text = first and all(isinstance(turn.get(content), str) for turn in turns)
        layouts.add((speakers, content) if is_text else ((), ""))
    speakers, content = layouts.pop() if len(layouts) == 1 else ((), "")
    if speakers not in (("user", "assistant"), ("system", "user", "assistant")):
        return None
    at = len(speakers) - 2
    # Anthropic's rows have the system message in a column of its own.
    systems = {str(found_at(row, f"{name}.0.{content}" if at else "system") or "") for row in rows}
    return Guess(
        kind="", why_kind="", why_text="the turn of the user",
        text=f"{name}.{at}.{content}", label=f"{name}.{at + 1}.{content}",
        system=systems.pop() if len(systems) == 1 else "",
    )  # fmt: skip


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
    # Objects of many keys that never come again are maps, and no schema says what is in them.
    is_map = len(found) < 0.97 * filled or len(schema) > 30
    return object_keys(schema, "column", path) if schema and not is_map else {}


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
    if items := _schema([item for one in values if isinstance(one, list) for item in one]):
        found["items"] = items
    if inside := [value for value in values if isinstance(value, Mapping)]:
        names = dict.fromkeys(name for one in inside for name in one)
        found["properties"] = {
            name: _schema([one[name] for one in inside if name in one]) for name in names
        }
    return found
