"""What the task is taken to be, and what the user fixed of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.drafting.layout_table import WORDS
from engine.drafting.profile import Profile, leaves_of
from engine.recipe.model import Reference
from engine.values import Value, replace

MOST_NAMES: Final = 60
SPAN_ROWS: Final = 5000
"""Rows that are looked at for spans."""

SPEAKERS: Final = ("speaker", "role", "from", "author", "sender", "who", "agent")
SAYINGS: Final = ("utterance", "content", "text", "value", "message", "body", "said")
ROLES: Final = {
    "user": "user", "human": "user", "customer": "user", "client": "user", "guest": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "chatbot": "assistant", "agent": "assistant",
    "system": "assistant", "operator": "assistant",
}  # fmt: skip
"""Where two people speak, one of them called `system`, that is the one who answers."""
TWO: Final = 2
TURN_ROWS: Final = 2000
"""Rows that are looked at for turns."""


class Spans(Value):
    """Where the stretches stand in a row."""

    column: str
    name: str
    start: str
    end: str
    names: tuple[str, ...]
    """What stretches are called, the commonest first."""
    several: frozenset[str] = frozenset()
    """Those that a row has twice or more, somewhere."""


def spans_in(profile: Profile, text: str) -> Spans | None:
    """Return the column of stretches of a text; None where there is none."""
    for column in profile.columns.values():
        is_of_one_item = any(part.isdigit() for part in column.name.split("."))
        if not column.objects or column.name == text or is_of_one_item:
            continue
        found = _spans(column.name, profile.objects(column.name, SPAN_ROWS))
        if found is not None:
            return replace(found, several=_several(profile, found))
    return None


def _several(profile: Profile, spans: Spans) -> frozenset[str]:
    found: set[str] = set()
    for values in profile.kept:
        items = found_at(values, spans.column)
        names = (
            Counter(str(found_at(item, spans.name)) for item in items if isinstance(item, Mapping))
            if isinstance(items, list)
            else Counter()
        )
        found |= {name for name, count in names.items() if count > 1}
    return frozenset(found)


def _spans(column: str, items: list[Mapping[str, Any]]) -> Spans | None:
    leaves = [dict(leaves_of(item)) for item in items]
    # By type and not by `isinstance`: `bool` is an `int` in Python.
    whole = {name for leaf in leaves for name, value in leaf.items() if type(value) is int}
    start = next((name for name in sorted(whole) if _last(name) in WORDS["starts"]), "")
    end = next((name for name in sorted(whole) if _last(name) in WORDS["ends"]), "")
    if not start or not end:
        return None
    counts: dict[str, Counter[str]] = {}
    for leaf in leaves:
        for name, value in leaf.items():
            if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
                counts.setdefault(f"{name}.0", Counter())[value[0]] += 1
            elif isinstance(value, str):
                counts.setdefault(name, Counter())[value] += 1
    few = {name: seen for name, seen in counts.items() if len(seen) <= MOST_NAMES}
    if not few:
        return None
    # By its name; else what takes the fewest values.
    name = min(
        few, key=lambda one: (_last(one.removesuffix(".0")) not in WORDS["names"], len(few[one]))
    )
    names = tuple(value for value, _ in few[name].most_common())
    return Spans(column=column, name=name, start=start, end=end, names=names)


def _last(path: str) -> str:
    return path.lower().rsplit(".", 1)[-1]


class TurnColumns(Value):
    """Where the turns of a row stand."""

    column: str
    role: str
    content: str
    roles: tuple[tuple[str, str], ...]
    """(name of a speaker, role)."""


def turns_in(profile: Profile) -> TurnColumns | None:
    """Return the column of turns between two speakers; None where there is none."""
    for column in profile.columns.values():
        if not column.objects or "." in column.name:
            continue
        turns = profile.objects(column.name, TURN_ROWS)
        role = next((name for name in SPEAKERS if turns and name in turns[0]), "")
        content = next((name for name in SAYINGS if turns and name in turns[0]), "")
        if not role or not content:
            continue
        names = Counter(str(turn.get(role)) for turn in turns)
        # Beside two speakers; with only one, the answer stands elsewhere.
        systems = [
            name for name in names if name.lower() in ("system", "developer") and len(names) > TWO
        ]
        speakers = [name for name in names if name not in systems]
        first = next((str(one.get(role)) for one in turns if str(one.get(role)) in speakers), "")
        if first.lower() == "system":
            continue
        if len(speakers) == TWO and len(turns) > len(profile.kept[:TURN_ROWS]):
            roles = (*((name, "system") for name in systems), *_roles(speakers, first))
            return TurnColumns(column=column.name, role=role, content=content, roles=roles)
    return None


def _roles(names: list[str], first: str) -> tuple[tuple[str, str], ...]:
    known = {name: ROLES.get(name.lower(), "") for name in names}
    if set(known.values()) != {"user", "assistant"}:
        known = {name: "user" if name == first else "assistant" for name in names}
    return tuple(known.items())


CHOSEN: Final = "you chose it"


class Guess(Value):
    """What the task is taken to be, and why."""

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
        """The columns of the text."""
        return self.inputs or ((self.text,) if self.text else ())

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that every row must have; fields of an answer may be absent."""
        is_object = bool(self.fields or self.spans or self.properties)
        label = () if is_object or not self.label else (self.label,)
        return (*self.texts, *self.pair, *label)


class DraftOptions(Value):
    """What the user fixed on the command line instead of leaving it to a guess."""

    kind: str = ""
    text: str = ""
    label: str = ""
    base_model: Reference | None = None
    encoding: str = "utf-8"
