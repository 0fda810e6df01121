"""`fits` beside jsonschema, which it saves valid recipes from: the two may never differ."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from engine.compute.profile import compute_schema
from engine.recipe.patterns import LISTS, MAPS, SINGLE, validator, with_python_patterns
from engine.recipe.text.source import read_source
from engine.recipe.validation import fits as checks
from engine.recipe.validation.fits import fits
from engine.recipe.validation.schema import recipe_schema
from support.json_mutation import STRANGE, mutated
from support.paths import EXAMPLES, ROOT

ANNOTATIONS = {"$defs", "$schema", "$id", "default", "description", "examples", "title"}
SCHEMAS = {"recipe": recipe_schema(), "compute": compute_schema()}
RECIPES = sorted([*(ROOT / "recipes").glob("*.yaml"), *EXAMPLES.glob("valid/*.yaml")])
VALUES = [
    *STRANGE,
    *(False, 1, 1.0, 2, 0.5, 64, 1e9, float("-inf"), "random", "a b"),
    *(["a", "a"], ["a", "b"], [1, True], [1, 1.0], {"min": 0.5}, {"hub": "a/b"}),
]


def schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a schema."""
    if not isinstance(schema, dict):
        return
    yield schema
    for word, below in schema.items():
        named = below.values() if word in MAPS else ()
        listed = below if word in LISTS else [below] if word in SINGLE else ()
        for one in (*named, *listed):
            yield from schemas(one)


def rules(schema: dict[str, Any]) -> dict[str, Any]:
    """What of a schema has a say about values."""
    return {
        word: below
        for word, below in schema.items()
        if word not in ANNOTATIONS and not word.startswith("x-")
    }


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_word_of_the_schemas_is_known(name: str) -> None:
    known = {*checks.OF_MAPPINGS, *checks.OF_LISTS, *checks.OF_TEXTS, *checks.OF_NUMBERS, "$ref"}

    assert {word for one in schemas(SCHEMAS[name]) for word in rules(one)} - known == set()


@pytest.mark.parametrize("name", SCHEMAS)
def test_strange_values_fit_where_jsonschema_says_so(name: str) -> None:
    root = SCHEMAS[name]
    checked = validator(root)
    parts = {str(rules(one)): rules(one) for one in schemas(root)}
    found = []
    for part in parts.values():
        theirs = checked.evolve(
            schema={**with_python_patterns(part), "$defs": root.get("$defs", {})}
        )
        ours = {**part, "$defs": root.get("$defs", {})}
        found += [(fits(value, ours), theirs.is_valid(value), part, value) for value in VALUES]

    assert {True, False} == {ours for ours, *_ in found}
    assert [one for one in found if one[0] is not one[1]] == []


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_and_broken_ones_like_it_fit_where_jsonschema_says_so(file: Any) -> None:
    value = read_source(file).value
    checked = validator(recipe_schema())
    found = [
        (fits(one, recipe_schema()), checked.is_valid(one), one)
        for one in (value, *(mutated(value, seed) for seed in range(20)))
    ]

    assert [one for ours, theirs, one in found if ours is not theirs] == []


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [1, "a", [1], {"a": 1}]},
        {"const": True},
        {"type": ["integer", "null"]},
        {"uniqueItems": True},
        {"uniqueItems": True, "maxItems": 2},
        {"uniqueItems": False},
        {"additionalProperties": {"type": "integer"}},
        {"additionalProperties": True, "properties": {"a": {}}},
        {"pattern": "^a$"},
        {"oneOf": [{"type": "integer"}, {"minimum": 2}]},
        {"not": {"required": ["a"]}},
        *(
            {f"{end}{what}": 1}
            for end in ("min", "max")
            for what in ("Items", "Length", "Properties")
        ),
        *({word: 1} for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
    ],
    ids=str,
)
def test_words_mean_what_they_mean_to_jsonschema(schema: dict[str, Any]) -> None:
    parts = [
        None,
        True,
        False,
        0,
        1,
        1.0,
        2,
        "a",
        "a\n",
        [1],
        [True],
        {"a": 1},
        {"a": True},
        {"b": 1},
    ]
    values = [*parts, {"a": 1, "b": 1}, *map(list, itertools.product(parts, parts)), [1, 1, 1]]
    checked = validator(schema)

    assert [one for one in values if fits(one, schema) is not checked.is_valid(one)] == []
