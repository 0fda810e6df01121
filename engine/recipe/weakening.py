"""In which direction a change of a key weakens the evidence, as the schema says at each key.

    x-area           what the key decides: gate, task, data, model, export, report; else nothing
    x-weaker         the direction, a value of `Weaker`
    x-finding        the code of the finding, such as W101; none where a function of `engine.review` names it
    x-finding-gone   the code where the key is gone, if it is another one

What stands at a mapping or a list holds for the keys inside, unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final

from engine.evidence.review import Area
from engine.recipe.validation.schema import Schema, children, expand, recipe_schema
from engine.values import Value, replace


class Weaker(StrEnum):
    """The direction in which a key weakens evidence."""

    NEVER = "never"
    """No change of it says anything about the evidence."""
    LOWER = "lower"
    """A lower number, or none."""
    HIGHER = "higher"
    """A higher number, or none."""
    RELAXED = "relaxed"
    """An action further down in `ORDER`."""
    OFF = "off"
    """No longer true."""
    ON = "on"
    """True now."""
    CHANGED = "changed"
    """Any change."""
    REVIEWED = "reviewed"
    """A function of `engine.review` decides."""


class Weakening(Value):
    """What a change of one key does to the evidence."""

    area: Area = Area.NOTHING
    weaker: Weaker | None = None
    """None for a section, whose keys say it each."""
    code: str = ""
    """Of the finding; empty where a function names it, or nothing is found."""
    gone: str = ""
    """Of the finding where the key is gone; as `code` where empty."""


ORDER: Final = ("fail", "drop", "mask", "warn", "off")
"""Actions of a check, the strictest first: refuse, leave out, hide, tell, do not look."""


@lru_cache(maxsize=1)
def weakenings() -> Mapping[str, Weakening]:
    """Return what the schema says of each key.

    Keys are written as a review writes them in general: `[]` for an item of a list, `*` for a name that the user gives.
    """
    return dict(_below(recipe_schema(), "", Weakening()))


def _below(schema: Schema, form: str, above: Weakening) -> Iterator[tuple[str, Weakening]]:
    for name, child in children(schema):
        expanded = expand(child)
        inside = form + name if name == "[]" else f"{form}.{name}".lstrip(".")
        own = _own(expanded, above)
        if own.weaker is not None:
            yield inside, own
        yield from _below(expanded, inside, own)


def _own(schema: Schema, above: Weakening) -> Weakening:
    area = Area(schema.get("x-area", above.area))
    if "x-weaker" not in schema:
        return replace(above, area=area)
    return Weakening(
        area=area,
        weaker=Weaker(schema["x-weaker"]),
        code=schema.get("x-finding", ""),
        gone=schema.get("x-finding-gone", ""),
    )
