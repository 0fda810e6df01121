"""Every option of `method` is a line or two of each backend's config, and trains for real."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from engine.backends import BACKENDS, load_backend
from engine.backends.base import BackendConfig, Launch, Trained, shares_prefix
from engine.estimate.cost import trainable_parameters
from engine.estimate.shape import shape_of_folder
from engine.recipe.methods import OPTIONS as KEYS
from engine.recipe.model import Method, TrainOnly
from engine.runtime.training.saved_weights import adapter_norm, model_norm
from engine.values import fields, replace
from support.backend_suite import SETTING
from support.launches import CPU, make_launch, make_recipe
from support.method_options import OPTIONS, PLAIN, Option

pytestmark = pytest.mark.thorough

# One thread: two of a tiny model wait for each other longer than they compute.
ONE_CORE = replace(CPU, cores=1)
COMBINED: dict[str, dict[str, Any]] = {
    "adapter": {
        "dora": True,
        "rslora": True,
        "ranks": (("down_proj", 8), ("q_proj", 2)),
        "layers": "last_1",
        "loraplus_lr_ratio": 16.0,
        "neftune_alpha": 5.0,
    },
    "full": {
        "kind": "full",
        "train_only": TrainOnly(layers="last_1"),
        "loss_on": "everything",
    },
}
each_option = pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS.keys())


def launch_of(folder: Path, base: Path, **method: Any) -> Launch:
    recipe = make_recipe("trl", **{"epochs": 1.0, "early_stopping": None, **method})
    return make_launch(recipe, folder, base, device=ONE_CORE)


def compiled(name: str, **method: Any) -> BackendConfig:
    return load_backend(name).compile(make_recipe(name, **method), SETTING)


def weights(trained: Trained) -> bytes:
    [file] = trained.folder.glob("*model.safetensors")
    return file.read_bytes()


def test_every_option_is_here() -> None:
    # keys of texts are tried where texts are trained: tests/functional/kinds
    assert {option.key for option in OPTIONS.values()} | {"packing", "tokens"} == set(KEYS)


@pytest.mark.parametrize("name", PLAIN)
@each_option
def test_an_option_changes_its_lines_and_no_other(name: str, option: Option) -> None:
    kind = option.method.get("kind", "lora")
    before = {line.key: line for line in compiled(name, kind=kind).lines}

    after = {line.key: line for line in compiled(name, **option.method).lines}

    changed = {key for key in before | after if before.get(key) != after.get(key)}
    assert changed == option.lines[name]
    for key in changed - PLAIN[name]:
        assert after[key].origin == f"method.{option.key}"


@pytest.mark.parametrize("name", sorted(BACKENDS.keys() - PLAIN.keys()))
@each_option
def test_a_backend_without_an_option_refuses_it(name: str, option: Option) -> None:
    recipe = make_recipe(name, **option.method)

    problems = load_backend(name).check(recipe)

    # Nanotron has more to say of what it does not do.
    assert ("R351", f"method.{option.key}") in {(one.code, one.path) for one in problems}


@each_option
def test_trl_trains_with_an_option(option: Option, tmp_path: Path, pico_model: Path) -> None:
    launch = launch_of(tmp_path, pico_model, **option.method)

    trained = load_backend("trl").train(launch)

    assert trained.steps == 3
    shape = shape_of_folder(pico_model)
    assert shape is not None
    estimated = trainable_parameters(shape, launch.method)
    assert (trained.trainable_parameters, estimated) == (option.trained, option.trained)
    shares = shares_prefix(make_recipe("trl", **option.method))
    assert trained.facts.get("shared_prefix", {"used": False})["used"] is shares
    if launch.method.kind == "full":
        assert model_norm(trained.folder, pico_model) > 0
        return
    config = json.loads((trained.folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert {key: config[key] for key in option.adapter} == option.adapter
    assert adapter_norm(trained.folder) > 0


@pytest.mark.parametrize("method", COMBINED.values(), ids=COMBINED.keys())
def test_a_killed_training_with_options_ends_with_the_same_weights(
    method: dict[str, Any], tmp_path: Path, pico_model: Path
) -> None:
    launch = launch_of(tmp_path, pico_model, **method, epochs=2.0, keep="last")
    whole = load_backend("trl").train(launch)
    again = replace(launch, folder=tmp_path / "again")
    shutil.copytree(launch.folder, again.folder, symlinks=True)
    # As if it had been killed while it wrote the last checkpoint.
    shutil.rmtree(again.folder / "output" / f"checkpoint-{whole.steps}")

    resumed = load_backend("trl").train(again)

    assert resumed.resumed_from_step == 3
    assert weights(resumed) == weights(whole)


@pytest.mark.parametrize("name", ["trl", "axolotl"])
def test_a_training_that_was_killed_after_its_last_step_takes_no_further_one(
    name: str, tmp_path: Path, pico_model: Path
) -> None:
    recipe = make_recipe(
        name, epochs=2.0, max_steps=4, keep="last", early_stopping=None, scheduler="constant"
    )
    launch = make_launch(recipe, tmp_path, pico_model)
    whole = load_backend(name).train(launch)
    again = replace(launch, folder=tmp_path / "again")
    shutil.copytree(launch.folder, again.folder, symlinks=True)

    resumed = load_backend(name).train(again)

    assert (resumed.resumed_from_step, resumed.steps, whole.steps) == (4, 4, 4)
    assert weights(resumed) == weights(whole)
    assert resumed.history == whole.history


def test_frozen_weights_stay_as_they_were(tmp_path: Path, pico_model: Path) -> None:
    launch = launch_of(
        tmp_path, pico_model, kind="full", train_only=TrainOnly(layers="last_1"), learning_rate=1e-3
    )

    trained = load_backend("trl").train(launch)

    before = load_file(pico_model / "model.safetensors")
    after = load_file(trained.folder / "model.safetensors")
    moved = {name for name in after if not after[name].equal(before[name].to(after[name].dtype))}
    assert moved == {name for name in before if name.startswith("model.layers.1.")}


def test_the_options_are_fields_with_defaults() -> None:
    required = {field.name for field in fields(Method) if field.required}

    assert not required & {*KEYS}
