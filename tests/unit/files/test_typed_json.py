"""JSON becomes dataclasses by their types: what does not fit is named by its place, what fits is written the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pytest

from engine.files.typed_json import Count, JsonTypeError, Time, from_json, to_json


class Colour(StrEnum):
    RED = "red"


class Facts(TypedDict):
    digest: str
    seeds: NotRequired[tuple[Count, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    colour: Colour
    parts: tuple[Part, ...]
    span: tuple[str, int] | None
    by_name: Mapping[str, Part]
    facts: Facts
    when: Time
    rows: Count
    anything: Any
    newer: float = 1.0


DATA: dict[str, Any] = {
    "colour": "red",
    "parts": [{"name": "a", "share": 1}, {"name": "b", "share": 0.5}],
    "span": ["first", 2],
    "by_name": {"c": {"name": "c", "share": None}},
    "facts": {"digest": "ab", "pin": "stands beside"},
    "when": "2026-11-20T10:00:00+00:00",
    "rows": 3,
    "anything": {"at": [1, None]},
    "newer": 2,
}


def test_what_is_read_is_written_the_same() -> None:
    found = from_json(Whole, DATA)

    assert (found.colour, found.parts[1], found.span) == (
        Colour.RED,
        Part(name="b", share=0.5),
        ("first", 2),
    )
    assert json.dumps(to_json(found)) == json.dumps(DATA)  # 1 stays 1 where the class says float


def test_what_an_older_version_did_not_write_gets_its_default() -> None:
    older = {name: value for name, value in DATA.items() if name != "newer"}

    assert from_json(Whole, older).newer == 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    now: int = field(default=0, metadata={"formerly": "before"})


def test_a_field_is_read_by_the_name_that_it_had() -> None:
    assert from_json(Renamed, {"before": 3}) == from_json(Renamed, {"now": 3}) == Renamed(now=3)
    assert to_json(Renamed(now=3)) == {"now": 3}


def test_lists_and_mappings_of_values_are_read_too() -> None:
    assert from_json(tuple[Part, ...], [{"name": "a"}]) == (Part(name="a"),)
    assert from_json(dict[str, Part], {"x": {"name": "a"}}) == {"x": Part(name="a")}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"rows": ...}, "`rows` is missing"),
    "unknown": ({"luck": 1}, "`luck` is unknown"),
    "a text for a count": ({"rows": "3"}, '`rows` is "3"'),
    "a truth for a count": ({"rows": True}, "`rows` is true"),
    "below 0": ({"rows": -1}, "`rows` is -1"),
    "no such colour": ({"colour": "blue"}, '`colour` is "blue"'),
    "a list for a colour": ({"colour": []}, "`colour` is a list"),
    "no offset": ({"when": "2026-11-20"}, '`when` is "2026-11-20"'),
    "inside of a list": ({"parts": [{"name": "a"}, {"name": 1}]}, "`parts.1.name` is 1"),
    "not a number": ({"parts": [{"name": "a", "share": float("nan")}]}, "`parts.0.share` is NaN"),
    "too large": ({"newer": 10**400}, "`newer` is a number too large"),
    "inside of a mapping": ({"by_name": {"c": {}}}, "`by_name.c.name` is missing"),
    "another length": ({"span": ["first"]}, "`span` is a list"),
    "half of a pair": ({"facts": {"digest": "\ud800"}}, '`facts.digest` is "\\ud800"'),
    "facts without": ({"facts": {}}, "`facts.digest` is missing"),
    "inside of facts": ({"facts": {"digest": "", "seeds": [1, -2]}}, "`facts.seeds.1` is -2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named_by_its_place(name: str) -> None:
    change, message = WRONG[name]
    data = {key: value for key, value in (DATA | change).items() if value is not ...}

    with pytest.raises(JsonTypeError) as caught:
        from_json(Whole, data)

    assert str(caught.value) == message


def test_the_message_begins_at_the_given_place() -> None:
    with pytest.raises(JsonTypeError, match=r"`files\.0` is null"):
        from_json(tuple[Part, ...], [None], "files")
    with pytest.raises(JsonTypeError, match="it is a list"):
        from_json(Part, [])
