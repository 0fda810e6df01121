"""What an accepted run writes into the lock."""

from pathlib import Path

import pytest

from engine.lock.accepted_run import used_versions
from engine.recipe.model import PathRef
from engine.values import replace
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


@pytest.mark.parametrize(
    ("name", "is_folder", "is_read"),
    [
        ("base", True, False),
        ("small.gguf", False, True),
        ("gone.GGUF", None, True),
        ("gone", None, False),
    ],
)
def test_the_reader_of_gguf_files_is_named_where_the_base_model_is_one(
    name: str, is_folder: bool | None, is_read: bool, tmp_path: Path
) -> None:
    if is_folder is not None:
        (tmp_path / name).mkdir() if is_folder else (tmp_path / name).touch()
    recipe = make_recipe("trl")
    recipe = replace(
        recipe,
        base_model=PathRef(path=tmp_path / name, written=name),
        export=replace(recipe.export, formats=("safetensors",)),
    )

    assert ("gguf" in used_versions(recipe, {"python": "3.13.5", "gguf": "0.17"})) is is_read
