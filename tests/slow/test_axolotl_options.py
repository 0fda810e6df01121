"""Axolotl trains three steps with every option of `method`, on the CPU, and what it trained is what was asked for."""

import json
from pathlib import Path

import pytest

from engine.backends import load_backend
from engine.runtime.training.saved_weights import adapter_norm, model_norm
from engine.values import replace
from support.launches import CPU, make_launch, make_recipe
from support.method_options import OPTIONS, Option
from support.pico import make_pico_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]


@pytest.fixture(scope="module")
def pico_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS.keys())
def test_axolotl_trains_with_an_option(option: Option, tmp_path: Path, pico_model: Path) -> None:
    recipe = make_recipe("axolotl", epochs=1.0, early_stopping=None, **option.method)
    launch = make_launch(recipe, tmp_path, pico_model, device=replace(CPU, cores=1))

    trained = load_backend("axolotl").train(launch)

    assert (trained.steps, trained.trainable_parameters) == (3, option.trained)
    if launch.method.kind == "full":
        assert model_norm(trained.folder, pico_model) > 0
        return
    config = json.loads((trained.folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert {key: config[key] for key in option.adapter} == option.adapter
    assert adapter_norm(trained.folder) > 0
