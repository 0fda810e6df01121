"""A recipe, and the same with every default written out, mean the same: all shipped ones and all examples."""

import shutil
from pathlib import Path

import pytest

from engine.evidence.review import Gate
from engine.recipe import check_recipe, dump_resolved
from engine.review.findings import review
from engine.review.version import Disk, try_side
from support.paths import ROOT
from support.recipe_pairs import CPU

FILES = sorted((ROOT / "recipes").glob("*.yaml"))
FILES += sorted((ROOT / "tests" / "examples" / "valid").glob("*.yaml"))


LISTED = {"sources"}
"""Their resolved form lists the files that a pattern matches now: another recipe, with the same rows."""


def test_the_recipes_are_found() -> None:
    assert len(FILES) > 25


@pytest.mark.sampled(4)
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_defaults_written_out_change_nothing(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set" / path.parent.name
    # A lock there may be is that of the one recipe and not of the other.
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("*.lock.json"))
    for beside in ("data", "shared"):
        source = path.parent.parent / beside
        # Beside a checkout, a link may lead to anything.
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, folder.parent / beside)
    old = folder / path.name
    recipe, _ = check_recipe(old)
    if recipe is None:
        pytest.skip("a parent, or its files are made elsewhere")
    new = folder / f"resolved-{path.name}"
    new.write_text(dump_resolved(recipe), encoding="utf-8")

    found = [try_side(one, Disk(), label=one.name)[0] for one in (old, new)]
    sides = [side for side in found if side is not None]
    if len(sides) < 2:
        pytest.skip("its backend refuses it, or its resolved form says what only a default may say")
    result = review(*sides, device=CPU)

    assert result.gate is Gate.STAYS
    if path.stem in LISTED:
        return
    assert (result.findings, result.changes) == ((), ())
    assert result.reruns == ()
