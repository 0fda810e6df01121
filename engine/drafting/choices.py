"""What the task is taken to be and what the user fixed of it; what lists and objects in a column hold of it."""

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
from engine.values import Value

ROWS: Final = 5000
"""Rows that are looked at for answers, marked parts and turns."""
CHOSEN: Final = "you chose it"


class DraftOptions(Value):
    """What the user fixed on the command line instead of leaving it to a guess."""

    kind: str = ""
    text: str = ""
    label: str = ""
    base_model: Reference | None = None
    encoding: str = "utf-8"


class Spans(Value):
    column: str
    name: str
    start: str
    end: str
    names: tuple[str, ...]
    """What stretches are called, the commonest first."""
    several: frozenset[str] = frozenset()
    """Those that a row has twice or more, somewhere."""

    def keys(self) -> dict[str, str]:
        return {"column": self.column, "name": self.name, "start": self.start, "end": self.end}


class TurnColumns(Value):
    column: str
    role: str
    content: str
    roles: dict[str, str]
    """Name of a speaker: role."""


class Guess(Value):
    kind: str
    why_kind: str
    text: str = ""
    """Column of the text; empty where the shape of the rows says it."""
    why_text: str = ""
    label: str = ""
    """Column of the label or answer."""
    why_label: str = ""
    fields: tuple[str, ...] = ()
    """Extraction: the columns that are parts of the text."""
    spans: Spans | None = None
    turns: TurnColumns | None = None
    """Chat: where the turns are, where the rows have no usual shape."""
    shape: str = ""
    separator: str = ""
    """Multilabel: what divides the labels in one text; empty for lists."""
    inputs: tuple[str, ...] = ()
    """Columns that are the text together; empty where `text` is all of it."""
    system: str = ""
    """The system message that all rows share."""
    instruction: str = ""
    """The question that all rows ask in the same words."""
    properties: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Extraction: the schema of the objects in the column of the answer, by field."""
    pair: tuple[str, ...] = ()
    """Preference: columns of the prompt, the chosen and the rejected answer."""
    split: str = ""
    """The column that says which split a row belongs to."""

    @property
    def texts(self) -> tuple[str, ...]:
        return self.inputs or ((self.text,) if self.text else ())

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that every row must have; fields of an answer may be absent."""
        is_object = bool(self.fields or self.spans or self.properties)
        label = () if is_object or not self.label else (self.label,)
        return (*self.texts, *self.pair, *label)


def _last(path: str) -> str:
    return path.lower().rsplit(".", 1)[-1]


def spans_in(profile: Profile, text: str) -> Spans | None:
    """Return the column of stretches of a text; None where there is none."""
    for column in (c.name for c in profile.having("-item") if c.objects and c.name != text):
        leaves = [dict(leaves_of(item)) for item in profile.objects(column, ROWS)]
        # By type and not by `isinstance`: `bool` is an `int` in Python.
        whole = sorted({name for leaf in leaves for name, one in leaf.items() if type(one) is int})
        start, end = (
            next((n for n in whole if _last(n) in WORDS[what]), "") for what in ("starts", "ends")
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
        name = min(
            few, key=lambda n: (_last(n.removesuffix(".0")) not in WORDS["names"], len(few[n]))
        )
        lists = [found for row in profile.kept if objects(found := found_at(row, column))]
        called = [Counter(str(found_at(mark, name)) for mark in marks) for marks in lists]
        return Spans(
            column=column, name=name, start=start, end=end,
            names=tuple(value for value, _ in few[name].most_common()),
            several=frozenset(one for some in called for one, count in some.items() if count > 1),
        )  # fmt: skip
    return None


def turns_in(profile: Profile) -> TurnColumns | None:
    """Return the column of turns between two speakers; None where there is none."""
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
        return TurnColumns(column=column.name, role=role, content=content, roles=roles)
    return None


def one_round(profile: Profile) -> Guess | None:
    """Return where question and answer are, where every row has one of each; None for real conversations."""
    rows = profile.kept[:ROWS]
    name = next((n for n in TURNS if rows and all(isinstance(r.get(n), list) for r in rows)), "")
    layouts = {_layout(row[name]) for row in rows} if name else set()
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


def _layout(turns: Sequence[Any]) -> tuple[tuple[str, ...], str]:
    """Return the roles of the turns and the key of their texts; nothing where a turn holds more than a text."""
    if not turns or not objects(turns):
        return (), ""
    content = next((key for key in ("content", "value") if key in turns[0]), "")
    role = "from" if "from" in turns[0] else "role"
    if any(not isinstance(turn.get(content), str) for turn in turns):
        return (), ""
    return tuple(ROLES.get(str(turn.get(role)), "") for turn in turns), content


def schema_at(profile: Profile, path: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the properties of the JSON objects at a path, in their order; none where others are there."""
    values = [found_at(row, path) for row in profile.kept[:ROWS]]
    found = [one for one in map(_object, values) if one is not None]
    filled = sum(value not in (None, "") for value in values)
    names = dict.fromkeys(name for one in found for name in one)
    # Objects of many keys that never come again are maps, and no schema says what is in them.
    if not names or len(found) < 0.97 * filled or len(names) > 30:
        return ()
    return tuple(_schema(found)["properties"].items())


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
    if items := _schema([item for one in values if isinstance(one, list) for item in one]):
        found["items"] = items
    if inside := [value for value in values if isinstance(value, Mapping)]:
        names = dict.fromkeys(name for one in inside for name in one)
        found["properties"] = {
            name: _schema([one[name] for one in inside if name in one]) for name in names
        }
    return found
