"""Every key of the recipe language says what it decides, and what change of it weakens the evidence."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from engine.codes import pages_of_areas
from engine.evidence.review import Area, Effect
from engine.recipe.validation.schema import expand, recipe_schema, walk
from engine.recipe.weakening import ORDER, Weakening, Weaker, weakenings
from engine.review.findings import effect_of
from engine.review.flatten import form_of

KEYS = {form_of(path): schema for path, schema in walk(recipe_schema())}


def below(form: str) -> list[str]:
    return [key for key in KEYS if key.startswith((f"{form}.", f"{form}[]"))]


def is_value(form: str) -> bool:
    """Whether a recipe can write a plain value there, and not only a mapping or a list of keys."""
    schema: Any = KEYS[form]
    forms = [schema, *map(expand, schema.get("oneOf", ())), *map(expand, schema.get("anyOf", ()))]
    return not below(form) or any("enum" in one for one in forms)


def test_every_key_of_the_schema_says_what_weakens_the_evidence() -> None:
    """A new key: write `x-weaker` into its schema; engine/recipe/weakening.py lists the directions."""
    missing = [form for form in KEYS if is_value(form) and form not in weakenings()]

    assert missing == []


def test_nothing_is_said_of_a_key_that_is_not_there() -> None:
    assert [form for form in weakenings() if form not in KEYS] == []


def test_a_direction_that_a_number_decides_has_a_code() -> None:
    named = {Weaker.LOWER, Weaker.HIGHER, Weaker.RELAXED, Weaker.OFF, Weaker.ON, Weaker.CHANGED}

    assert [
        form for form, key in weakenings().items() if (key.weaker in named) is (not key.code)
    ] == []


@pytest.mark.parametrize("form", [form for form in KEYS if "checks." in form])
def test_every_action_of_a_check_has_its_place_in_the_order(form: str) -> None:
    assert set(KEYS[form]["enum"]) <= set(ORDER)
    assert weakenings()[form].weaker is Weaker.RELAXED


def test_codes_of_findings_have_a_page() -> None:
    codes = {code for one in weakenings().values() for code in (one.code, one.gone) if code}

    assert codes <= set(pages_of_areas())


@pytest.mark.parametrize(
    ("weaker", "before", "after", "effect"),
    [
        (Weaker.LOWER, 0.8, 0.7, Effect.WEAKER),
        (Weaker.LOWER, 0.7, 0.8, Effect.STRONGER),
        (Weaker.LOWER, 0.7, None, Effect.WEAKER),
        (Weaker.LOWER, None, 0.7, Effect.STRONGER),
        (Weaker.HIGHER, 0.1, 0.2, Effect.WEAKER),
        (Weaker.HIGHER, 0.2, 0, Effect.STRONGER),
        (Weaker.HIGHER, 0.2, None, Effect.WEAKER),
        (Weaker.ON, False, True, Effect.WEAKER),
        (Weaker.ON, True, False, Effect.STRONGER),
        (Weaker.OFF, True, False, Effect.WEAKER),
        (Weaker.OFF, False, True, Effect.STRONGER),
        (Weaker.CHANGED, "a", "b", Effect.WEAKER),
        (Weaker.NEVER, 1, 2, None),
        *((Weaker.RELAXED, one, two, Effect.WEAKER) for one, two in pairwise(ORDER)),
        *((Weaker.RELAXED, two, one, Effect.STRONGER) for one, two in pairwise(ORDER)),
    ],
)  # fmt: skip
def test_each_direction_is_read_as_it_is_named(
    weaker: Weaker, before: Any, after: Any, effect: Effect | None
) -> None:
    assert effect_of(Weakening(area=Area.GATE, weaker=weaker, code="W101"), before, after) is effect
