"""JSON becomes dataclasses by their types: what does not fit is named by its place, what fits is written the same."""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import msgspec
import pytest

import engine
from engine.artifacts.results import FILES
from engine.evidence import Report
from engine.lock.file import Lock
from engine.values import (
    MINUS,
    Count,
    JsonTypeError,
    Number,
    Value,
    bounds,
    decimal,
    from_json,
    shortest,
    to_json,
)


class Colour(StrEnum):
    RED = "red"


class Facts(TypedDict):
    digest: str
    seeds: NotRequired[tuple[Count, ...]]


class Part(Value):
    name: str
    share: Number | None = None


class Whole(Value):
    colour: Colour
    parts: tuple[Part, ...]
    span: tuple[str, int] | None
    by_name: Mapping[str, Part]
    facts: Facts
    rows: Count
    anything: Any
    newer: Number = 1.0


DATA: dict[str, Any] = {
    "colour": "red",
    "parts": [{"name": "a", "share": 1}, {"name": "b", "share": 0.5}],
    "span": ["first", 2],
    "by_name": {"c": {"name": "c", "share": None}},
    "facts": {"digest": "ab"},
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


class Renamed(Value):
    shared_prefix: int = 0


def test_a_field_is_read_by_the_name_that_it_had() -> None:
    expected = {"x": (Renamed(shared_prefix=3),)}

    assert from_json(dict[str, tuple[Renamed, ...]], {"x": [{"shared_start": 3}]}) == expected


RECORDS = (Report, Lock, *(kind for kinds in FILES.values() for kind in kinds.values()))


@pytest.mark.parametrize("kind", RECORDS, ids=str)
def test_no_record_makes_a_float_of_a_whole_number(kind: Any) -> None:
    """Written again, `1` would be `1.0`: other bytes."""

    def bare(found: Any) -> list[str]:
        if isinstance(found, msgspec.inspect.UnionType) and any(
            isinstance(one, msgspec.inspect.IntType) for one in found.types
        ):
            return []
        if isinstance(found, msgspec.inspect.StructType | msgspec.inspect.TypedDictType):
            return [f"{found.cls.__name__}.{one.name}" for one in found.fields if bare(one.type)]
        parts = [getattr(found, name, ()) for name in ("types", "item_types")]
        below = [getattr(found, name, None) for name in ("item_type", "value_type")]
        inner = [one for one in (*parts[0], *parts[1], *below) if one is not None]
        is_float = isinstance(found, msgspec.inspect.FloatType)
        return ["float"] if is_float else [name for one in inner for name in bare(one)]

    assert bare(msgspec.inspect.type_info(kind)) == []


def test_lists_and_mappings_of_values_are_read_too() -> None:
    assert from_json(tuple[Part, ...], [{"name": "a"}]) == (Part(name="a"),)
    assert from_json(dict[str, Part], {"x": {"name": "a"}}) == {"x": Part(name="a")}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"rows": ...}, "`rows` is missing"),
    "unknown": ({"$": 1}, "`$` is unknown"),
    "a text for a count": ({"rows": "3"}, '`rows` is "3"'),
    "a truth for a count": ({"rows": True}, "`rows` is true"),
    "below 0": ({"rows": -1}, "`rows` is -1"),
    "no such colour": ({"colour": "blue"}, '`colour` is "blue"'),
    "a list for a colour": ({"colour": []}, "`colour` is a list"),
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


# Numbers with their sign: one minus sign in all that people read.
SIGNED = re.compile(r":[<>^]?\d*\+[\d.,]*[defg%]\}")
"""A format that writes a sign of its own: a hyphen for a minus."""


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (0.0214, True, "+0.021"),
        (0.0214, False, "0.021"),
        (-0.0121, True, f"{MINUS}0.012"),
        (-0.0121, False, f"{MINUS}0.012"),
        (-0.0001, True, "0.000"),
        (12345.6, True, "+12,345.600"),
    ],
)
def test_a_number_has_one_minus_sign_and_zero_has_none(
    value: float, signed: bool, expected: str
) -> None:
    assert decimal(value, signed=signed) == expected


def test_ends_of_a_difference_have_their_signs() -> None:
    assert bounds(-0.0201, 0.0042) == f"[{MINUS}0.020, +0.004]"
    assert bounds(-2, 3, 0) == f"[{MINUS}2, +3]"


def test_nothing_else_writes_the_sign_of_a_number() -> None:
    root = Path(engine.__file__).parent
    found = {
        f"{path.relative_to(root)}: {match[0]}"
        for path in root.rglob("*.py")
        for match in SIGNED.finditer(path.read_text(encoding="utf-8"))
    }

    assert not found


@pytest.mark.parametrize(
    ("value", "figures", "expected"),
    [
        (0.81, 3, "0.81"),
        (-0.1234, 3, f"{MINUS}0.123"),
        (-0.0, 3, "0"),
        (12, 6, "12"),
        (-1e-05, 6, f"{MINUS}1e-05"),
    ],
)
def test_a_number_of_few_figures_has_the_same_sign(
    value: float, figures: int, expected: str
) -> None:
    assert shortest(value, figures) == expected
