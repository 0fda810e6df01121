"""What the task is taken to be, and what the user fixed of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.drafting.layout_table import WORDS
from engine.drafting.profile import NAMES, Profile, leaves_of
from engine.recipe.model import Reference
from engine.values import Value

MOST_NAMES: Final = 60
SPAN_ROWS: Final = 5000
"""Rows that are looked at for spans."""
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
    columns = profile.columns.values()
    named = (c.name for c in columns if c.objects and c.name != text and not c.is_of_item)
    return next(filter(None, (_spans(profile, name) for name in named)), None)


def _spans(profile: Profile, column: str) -> Spans | None:
    leaves = [dict(leaves_of(item)) for item in profile.objects(column, SPAN_ROWS)]
    # By type and not by `isinstance`: `bool` is an `int` in Python.
    whole = sorted({name for leaf in leaves for name, value in leaf.items() if type(value) is int})
    start, end = (
        next((n for n in whole if _last(n) in WORDS[what]), "") for what in ("starts", "ends")
    )
    counts: dict[str, Counter[str]] = {}
    for leaf in leaves if start and end else ():
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
    several: set[str] = set()
    for values in profile.kept:
        found = found_at(values, column)
        marks = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else ()  # fmt: skip
        called = Counter(str(found_at(mark, name)) for mark in marks)
        several |= {one for one, count in called.items() if count > 1}
    names = tuple(value for value, _ in few[name].most_common())
    return Spans(
        column=column, name=name, start=start, end=end, names=names, several=frozenset(several)
    )


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
        role, content = (
            next((name for name in NAMES[what] if turns and name in turns[0]), "")
            for what in ("speaker", "saying")
        )
        if not role or not content:
            continue
        names = list(dict.fromkeys(str(turn.get(role)) for turn in turns))
        # With two speakers; with only one, the answer stands elsewhere.
        systems = [n for n in names if n.lower() in ("system", "developer") and names[2:]]
        speakers = [name for name in names if name not in systems]
        if len(speakers) != 2 or speakers[0].lower() == "system":
            continue
        if len(turns) > len(profile.kept[:TURN_ROWS]):
            # Where two people speak, one of them called `system`, that is the one who answers.
            known = {name: NAMES["roles of speakers"].get(name.lower(), "") for name in speakers}
            if set(known.values()) != {"user", "assistant"}:
                known = dict(zip(speakers, ("user", "assistant"), strict=True))
            roles = (*((name, "system") for name in systems), *known.items())
            return TurnColumns(column=column.name, role=role, content=content, roles=roles)
    return None


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
