"""Answers as marked stretches of the text: a list of objects with a name, a start and an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.drafting.profile import Profile, leaves_of

STARTS: Final = (
    "start",
    "startindex",
    "begin",
    "from",
    "start_index",
    "start_char",
    "exclusive_start",
)
ENDS: Final = ("end", "endindex", "stop", "to", "end_index", "end_char", "exclusive_end")
MOST_NAMES: Final = 60
LOOKED_AT: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Where the stretches stand in a row."""

    column: str
    name: str
    start: str
    end: str
    names: tuple[str, ...]
    """What stretches are called, the commonest first."""


def spans_in(profile: Profile, text: str) -> Spans | None:
    """Return the column of stretches of a text; None where there is none."""
    for column in profile.columns.values():
        is_of_one_item = any(part.isdigit() for part in column.name.split("."))
        if not column.objects or column.name == text or is_of_one_item:
            continue
        found = _spans(column.name, profile.objects(column.name, LOOKED_AT))
        if found is not None:
            return found
    return None


def _spans(column: str, items: list[Mapping[str, Any]]) -> Spans | None:
    leaves = [dict(leaves_of(item)) for item in items]
    # By type and not by `isinstance`: `bool` is an `int` in Python.
    whole = {name for leaf in leaves for name, value in leaf.items() if type(value) is int}
    start = next((name for name in sorted(whole) if _last(name) in STARTS), "")
    end = next((name for name in sorted(whole) if _last(name) in ENDS), "")
    if not start or not end:
        return None
    counts: dict[str, Counter[str]] = {}
    for leaf in leaves:
        for name, value in leaf.items():
            if isinstance(value, str):
                counts.setdefault(name, Counter())[value] += 1
    few = {name: seen for name, seen in counts.items() if len(seen) <= MOST_NAMES}
    if not few:
        return None
    name = min(few, key=lambda one: len(few[one]))
    names = tuple(value for value, _ in few[name].most_common())
    return Spans(column=column, name=name, start=start, end=end, names=names)


def _last(path: str) -> str:
    return path.lower().rsplit(".", 1)[-1]
