from __future__ import annotations

from pathlib import Path

from engine.plan import moving
from engine.recipe import load_recipe


def test_a_package_without_a_digest_is_told_as_moving(root: Path, tmp_path: Path) -> None:
    lines = (root / "recipes" / "quickstart.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if "sha256:" not in line]
    path = tmp_path / "unpinned.yaml"
    path.write_text("\n".join([*kept, "allow_moving: true", ""]), encoding="utf-8")
    recipe, _ = load_recipe(path)

    told = moving(recipe)

    assert [line.partition(":")[0] for line in told] == ["base_model", "data.sources[0]"]


def test_a_pinned_recipe_moves_nowhere(root: Path) -> None:
    recipe, _ = load_recipe(root / "recipes" / "quickstart.yaml")

    assert moving(recipe) == ()
