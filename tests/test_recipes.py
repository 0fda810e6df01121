"""Every shipped recipe is valid, says what it makes, and never invents a pin."""

import json
import re
from pathlib import Path

import pytest

from engine.backends import check_backend
from engine.environment import Device
from engine.kinds import KINDS
from engine.pipeline.plan import collect_inputs, plan_run
from engine.pipeline.requirements import refuse_unbound
from engine.recipe import check_recipe, load_recipe, moving_references
from engine.recipe.model import FewerLayers, Scratch
from engine.stages import stages_of
from engine.stages.compile import compile_recipe
from engine.store import Store
from support.data_stage import run as run_data
from support.paths import ROOT
from support.results import put_report  # noqa: F401 # says where the benchmarks are

# after `support.results`
import recipe_rows  # isort: skip

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


CPU = Device(kind="cpu", name="test", memory_bytes=1, cores=2, bf16=True)
GPU = Device(kind="cuda", name="test", memory_bytes=1, cores=8, bf16=True)


def test_all_shipped_recipes_are_found() -> None:
    assert len(RECIPES) == 20


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


def test_the_recipes_show_other_kinds_and_other_ways_to_divide() -> None:
    recipes = [load_recipe(path)[0] for path in RECIPES]

    kinds = {recipe.task.kind for recipe in recipes}
    assert set(KINDS) - {"generation"} == kinds
    assert "group" in {recipe.splits.by for recipe in recipes}
    assert any(source.weight != 1 for recipe in recipes for source in recipe.data.sources)


def test_a_recipe_is_shipped_for_every_way_to_train() -> None:
    found = {path.stem: load_recipe(path)[0] for path in RECIPES}

    assert found["review-folds"].splits.folds
    assert found["review-teacher"].teacher
    assert found["review-synthetic"].data.synthesize
    assert isinstance(found["review-student"].base_model, FewerLayers)
    assert isinstance(found["review-scratch"].base_model, Scratch)
    assert found["review-text"].task.kind == "text"
    assert found["shop-topics"].task.kind == "multilabel"
    assert found["shop-replies"].method.preference


def test_the_rows_of_the_shop_are_those_that_their_program_writes() -> None:
    for name, text in recipe_rows.files().items():
        assert (ROOT / "recipes" / "data" / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_can_be_run_to_the_end(path: Path) -> None:
    recipe, _ = load_recipe(path)

    refuse_unbound(recipe, until=None)


SAMPLES = [path for path in RECIPES if "\n    - path: data/" in path.read_text(encoding="utf-8")]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_rows_that_come_with_a_recipe_pass_its_checks(path: Path, tmp_path: Path) -> None:
    workdir, _ = run_data(load_recipe(path)[0], tmp_path)
    summary = json.loads((workdir / "summary.json").read_text(encoding="utf-8"))

    assert [found for found in summary["findings"] if found["check"] != "splits"] == []


@pytest.mark.parametrize("device", [CPU, GPU], ids=lambda device: device.kind)
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_plans_and_compiles(path: Path, device: Device, tmp_path: Path) -> None:
    recipe, _ = load_recipe(path)
    store = Store(tmp_path / "store")
    plan = plan_run(recipe, store, inputs=collect_inputs(recipe, store, device))
    config = compile_recipe(recipe, device, train_rows=400, validation_rows=100)

    assert check_backend(recipe) == ()
    assert tuple(stage.name for stage in plan.stages) == stages_of(plan.recipe)
    assert not any(stage.reused for stage in plan.stages)
    assert all(line.origin for line in config.lines)
    assert "holdout" not in config.text
