"""Patterns and schemas of a stranger: JSON Schema's `$`, no fetching, and an end."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.data.examples.template import RejectedError
from engine.data.kinds.extraction import _validator as answers_of
from engine.errors import DataError
from engine.metrics.families.fields import answer_in, fits
from engine.process.limits import processor_time
from engine.recipe import check_recipe, patterns
from engine.recipe.patterns import python_pattern, validator
from support.project import BASE

SLOW = ("(a+)+$", "(a|aa)+$", "(.*a){30}")
ENDLESS: dict[str, Any] = {"type": "object", "allOf": [{"$ref": "#"}]}


@pytest.fixture(autouse=True)
def short_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.3)


def slow_schema(pattern: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}


@pytest.mark.parametrize("pattern", SLOW)
def test_a_pattern_that_takes_for_ever_is_stopped(pattern: str) -> None:
    with pytest.raises(DataError, match=r"D425.*task\.answer_pattern"):
        answer_in("a" * 60 + "b", pattern)


@pytest.mark.parametrize("pattern", SLOW)
def test_so_is_a_schema_with_one(pattern: str) -> None:
    text = "a" * 60 + "b"

    with pytest.raises(DataError, match=r"D425.*task\.schema"):
        fits(f'{{"a": "{text}"}}', slow_schema(pattern))
    with pytest.raises(DataError, match=r"D425.*task\.schema"):
        answers_of(slow_schema(pattern))({"a": text})


def test_a_schema_that_never_ends_is_typed() -> None:
    with pytest.raises(DataError, match=r"D425.*itself without end"):
        fits('{"a": 1}', ENDLESS)
    with pytest.raises(DataError, match=r"D425.*itself without end"):
        answers_of(ENDLESS)({"a": 1})


def test_the_clock_is_off_again_afterwards() -> None:
    assert answer_in("#### 12", r"#### (\d+)") == "12"

    assert re.search("(a|aa)+$", "a" * 31 + "b") is None  # longer than the clock would have let it


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("^a$", r"^a\Z"),
        (r"^a\$", r"^a\$"),
        ("[$]$", r"[$]\Z"),
        ("[]$]$", r"[]$]\Z"),
        (r"[^\]$]$", r"[^\]$]\Z"),
        ("^a$|^b$", r"^a\Z|^b\Z"),
        (r"\\$", r"\\\Z"),
    ],
)
def test_the_end_of_a_pattern_is_the_end_of_the_text(written: str, read: str) -> None:
    assert python_pattern(written) == read


def test_a_long_pattern_of_open_sets_is_read_once() -> None:
    with processor_time(2):
        assert python_pattern("[[" * 500_000) == "[[" * 500_000


def test_patterns_are_read_so_wherever_a_schema_stands() -> None:
    schema = {
        "properties": {"pattern": {"items": {"pattern": "^a$"}}, "$": {"const": "$"}},
        "patternProperties": {"^x$": {"type": "number"}},
        "anyOf": [{"not": {"required": ["no"]}}],
        "additionalProperties": False,
    }
    checker = validator(schema)

    assert checker.is_valid({"pattern": ["a"], "x": 1, "$": "$"})
    assert not checker.is_valid({"pattern": ["a\n"]})
    assert not checker.is_valid({"x\n": 1})


def test_nothing_is_fetched_for_a_reference() -> None:
    checker = validator({"properties": {"a": {"$ref": "http://localhost:1/x.json"}}})

    with pytest.raises(Exception, match="Unresolvable"):
        checker.is_valid({"a": 1})


def test_an_answer_ended_by_a_line_break_does_not_fit_a_pattern_with_an_end() -> None:
    with pytest.raises(RejectedError):
        answers_of(slow_schema("^a$"))({"a": "a\n"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), "tiny\n"),
        (("base_model",), {"hub": "owner/name\n", "revision": "a" * 40}),
        (("base_model",), {"hub": "owner/name", "revision": "a" * 40 + "\n"}),
        (("baselines",), [{"model": {"name": "m\n", "path": "base"}}]),
        (
            ("baselines",),
            [{"model": {"name": "m", "endpoint": "http://localhost:1\n", "model": "x"}}],
        ),
    ],
)
def test_a_value_ended_by_a_line_break_is_refused(
    path: tuple[str, ...], value: object, tmp_path: Path
) -> None:
    fields = copy.deepcopy(dict(BASE))
    node = fields
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")

    _, problems = check_recipe(tmp_path / "recipe.yaml")

    assert [one.code for one in problems if one.path.startswith(path[0]) and one.code == "R109"]


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999}", "(" * 400 + ")" * 400, "[[a]"])
def test_a_pattern_is_readable_or_reported(pattern: str, tmp_path: Path) -> None:
    fields = copy.deepcopy(dict(BASE))
    fields["task"] = {"kind": "generation", "input": "{text}", "answer_pattern": pattern}
    fields["data"] = {"sources": [{"path": "rows.csv"}], "answer": {"column": "label"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")

    _, problems = check_recipe(tmp_path / "recipe.yaml")

    assert ("R276" in {one.code for one in problems}) == (pattern != "[[a]")


def extraction(**schema: Any) -> str:
    task = {"kind": "extraction", "instruction": "x", "schema": {"type": "object", **schema}}
    return yaml.safe_dump({**BASE, "task": task}, allow_unicode=True)


@pytest.mark.parametrize(
    ("reference", "schema"),
    [
        ("#/type", {}),
        ("#/required/0", {"required": ["a"]}),
        ("#/title", {"title": "x"}),
        ("#/properties", {"properties": {"type": {"type": "string"}}}),
        ("#/properties/a/minimum", {"properties": {"a": {"minimum": 5}}}),
        ("#/default", {"default": {"pattern": "("}}),
        ("#/default", {"default": {"$ref": "http://example.org/x"}}),
        ("#/examples/0", {"examples": [{"type": "no such"}]}),
        ("#/properties/a/const", {"properties": {"a": {"const": {"minLength": "x"}}}}),
        ("#/x-own", {"x-own": {"minLength": "x"}}),
        ("#/allOf", {"allOf": [True]}),
        ("#/allOf/1", {"allOf": [True]}),
        ("#/allOf/x", {"allOf": [True]}),
        ("#/$defs/a%20b", {"$defs": {"a%20b": {"type": "string"}}}),
    ],
)
def test_a_reference_leads_to_a_schema(tmp_path: Path, reference: str, schema: Any) -> None:
    """Values of other kinds ended in a bug report, when the first answer was checked."""
    properties = {**schema.get("properties", {}), "city": {"$ref": reference}}
    path = tmp_path / "recipe.yaml"
    path.write_text(extraction(**{**schema, "properties": properties}), encoding="utf-8")

    problems = [one for one in check_recipe(path)[1] if one.code == "R245"]

    assert "leads to nothing that describes a value" in " ".join(one.message for one in problems)


@pytest.mark.parametrize(
    ("reference", "schema"),
    [
        ("#", {}),
        ("#/$defs/a", {"$defs": {"a": True}}),
        ("#/$defs/a%20b", {"$defs": {"a b": {}}}),
        ("#/$defs/~01~1", {"$defs": {"~1/": {}}}),
        ("#/properties/properties", {"properties": {"properties": {}}}),
        ("#/allOf/0/items", {"allOf": [{"items": {}}]}),
    ],
)
def test_so_does_each_of_these(reference: str, schema: Any) -> None:
    assert patterns.schema_at(schema, reference) in ({}, True, schema)


def test_an_answer_with_very_many_errors_is_reported_soon() -> None:
    """A list of 100,000 wrong values took minutes, and one of each row."""
    schema: Any = {"properties": {"a": {"type": "array", "items": {"type": "integer"}}}}

    with pytest.raises(RejectedError, match="does not fit"):
        answers_of(schema)({"a": ["x"] * 100_000})
