"""Every backend that trains passes the suite; the training half of Axolotl and Unsloth runs in `tests/slow`."""

import json
from pathlib import Path

import pytest

from engine.backends import BACKENDS, load_backend
from engine.backends.base import Trained
from engine.recipe.validation.schema import schema_text
from engine.runtime.training.saved_weights import adapter_norm
from support.backend_suite import CompileSuite, TrainSuite, finished
from support.launches import make_launch, make_recipe
from support.unsloth_stand_in import stand_in

__all__ = ["finished", "stand_in"]


class TestAxolotlCompiles(CompileSuite):
    name = "axolotl"


class TestTrlCompiles(CompileSuite):
    name = "trl"


class TestTrlTrains(TrainSuite):
    name = "trl"


class TestUnslothCompiles(CompileSuite):
    name = "unsloth"


@pytest.mark.thorough
@pytest.mark.usefixtures("stand_in")
def test_unsloths_process_trains_the_rows_of_its_launch_folder_and_goes_on_from_a_checkpoint(
    tmp_path: Path, pico_model: Path
) -> None:
    """With a stand-in for the library: its Python, order of imports, arguments, events and checkpoints are ours."""
    recipe = make_recipe("unsloth", epochs=1.0)
    launch = make_launch(recipe, tmp_path, pico_model)
    trained = load_backend("unsloth").train(launch)
    reference = load_backend("trl").train(
        make_launch(make_recipe("trl", epochs=1.0), tmp_path / "trl", pico_model)
    )
    again = load_backend("unsloth").train(launch)

    assert trained.steps == 3
    assert adapter_norm(trained.folder) > 0
    assert _losses(trained) == pytest.approx(_losses(reference), rel=1e-4)
    assert trained.facts["shared_prefix"]["used"]
    assert again.resumed_from_step == 3


def _losses(trained: Trained) -> list[float]:
    return [point.loss for point in trained.history if point.loss is not None]


def test_no_backend_is_left_out() -> None:
    suites = (TestAxolotlCompiles, TestTrlCompiles, TestUnslothCompiles)

    # It compiles pre-training of whole models, and is held to its maker's own parser: tests/unit/backends.
    compiled_only = {"nanotron"}
    assert {suite.name for suite in suites} | compiled_only == set(BACKENDS)


def test_recipes_may_name_every_backend_and_no_other() -> None:
    assert json.loads(schema_text("recipe.schema.json"))["$defs"]["backend"]["properties"]["name"][
        "enum"
    ] == sorted(BACKENDS)
