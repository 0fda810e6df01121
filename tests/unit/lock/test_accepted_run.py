"""What an accepted run writes into the lock."""

from __future__ import annotations

from dataclasses import replace

from engine.lock.accepted_run import used_versions
from support.launches import make_recipe

VERSIONS = {
    "python": "3.13.5",
    "torch": "2",
    "trl": "1",
    "axolotl": "0.21.0",
    "inferna": "1",
    "sacrebleu": "2",
}


def test_tools_that_a_recipe_has_no_use_for_are_left_out() -> None:
    recipe = make_recipe("trl")
    recipe = replace(recipe, export=replace(recipe.export, formats=("safetensors",)))

    assert set(used_versions(recipe, VERSIONS)) == {"python", "torch", "trl"}


def test_tools_that_make_the_model_are_kept() -> None:
    recipe = make_recipe("axolotl")
    recipe = replace(recipe, export=replace(recipe.export, formats=("gguf",)))

    assert set(used_versions(recipe, VERSIONS)) == set(VERSIONS) - {"sacrebleu"}
