"""Every shipped recipe is valid, says what it makes, and never invents a pin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.recipe import check_recipe, load_recipe, moving_references

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


def test_all_shipped_recipes_are_found() -> None:
    assert len(RECIPES) == 9


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_valid_without_a_warning(path: Path) -> None:
    recipe, problems = check_recipe(path)

    assert problems == ()
    assert recipe is not None
    assert path.stem in (recipe.name, "quickstart")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_says_what_it_makes_and_how_to_run_it(path: Path) -> None:
    header = path.read_text(encoding="utf-8").split("\nrecipe: v1\n")[0]

    assert "# What it makes: " in header
    assert f"#   recipe run recipes/{path.name}" in header
    assert header.startswith("# yaml-language-server: $schema=../schemas/recipe.schema.json\n")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_what_is_not_pinned_says_so(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    recipe, _ = load_recipe(path)

    assert recipe.allow_moving is bool(moving_references(recipe))
    assert recipe.allow_moving is ("`recipe pin`" in text)
    assert not re.search(r"^ +revision:", text, flags=re.MULTILINE)


def test_the_quickstart_moves_nowhere() -> None:
    recipe, _ = load_recipe(RECIPES[0].with_name("quickstart.yaml"))

    assert moving_references(recipe) == ()


def test_the_recipes_cover_methods_outputs_and_backends() -> None:
    recipes = [load_recipe(path)[0] for path in RECIPES]

    assert {"lora", "qlora", "full"} == {recipe.method.kind for recipe in recipes}
    assert {"text", "json"} == {recipe.task.output for recipe in recipes}
    assert {"axolotl", "trl"} == {recipe.backend.name for recipe in recipes}
