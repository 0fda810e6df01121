"""What the schema refuses is refused in words; without any it would pass as valid."""

from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from engine.recipe.patterns import validator
from engine.recipe.validation.schema import expand, recipe_schema, walk
from engine.recipe.validation.schema_errors import SchemaError, schema_errors

ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0.5,
    10**400,
    "",
    "x",
    [],
    ["x", "x"],
    [-1],
    [0, 0],
    [None],
    [""],
    {},
    {"x": 1},
    {"": 1},
)
PLACES = {
    str(schema): (".".join(path), schema)
    for path, schema in [((), recipe_schema()), *walk(recipe_schema())]
}
"""Each schema once: some stand at many places."""


def _check_of(schema: Any) -> Draft202012Validator:
    return validator({**schema, "$defs": recipe_schema()["$defs"]})


def _errors_of(check: Draft202012Validator, value: Any) -> list[list[SchemaError]]:
    """Return the errors that are shown for each broken rule."""
    return [list(schema_errors(error)) for error in check.iter_errors(value)]


def _every_key(schema: Any) -> dict[str, Any]:
    """Return a mapping with every key at once, among them those that exclude each other."""
    named = schema.get("properties", {}).items()
    return {name: next(iter(expand(below).get("examples", ())), 1) for name, below in named}


@pytest.mark.sampled(8)
@pytest.mark.parametrize("place", PLACES, ids=[name for name, _ in PLACES.values()])
def test_every_refusal_has_words(place: str) -> None:
    name, schema = PLACES[place]
    silent = {}
    check = _check_of(schema)
    for value in (*ODD, _every_key(schema)):
        shown = _errors_of(check, value)
        errors = [one for error in shown for one in error]
        # of a value of the wrong type nothing else is shown
        mistyped = {one.path for one in errors if one.code == "R106"}
        words = [one.message for one in errors if one.code == "R106" or one.path not in mistyped]
        if not all(shown) or "something else" in str(words):
            silent[str(value)[:40]] = words

    assert silent == {}, name


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("keep_layers", "every_fourth", "must be every_second, every_third, `first: N`"),
        ("keep_layers", [], "must list at least 1, lists 0"),
        ("keep_layers", [-1], "must be at least 0, not `-1`"),
        ("keep_layers", [1, 1], "`1` is listed twice"),
        ("scratch", {}, "`keep_layers` does not go with `scratch`"),
    ],
)
def test_layers_that_are_kept_are_layers(key: str, value: Any, shown: str) -> None:
    written = {"path": "model", "keep_layers": [0], key: value}

    check = _check_of(expand(recipe_schema()["properties"]["base_model"]))
    found = _errors_of(check, written)

    assert any(one.message.startswith(shown) for error in found for one in error)
