"""Training on preferences: every loss, from one file of text; Axolotl's half runs in `tests/slow`."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.backends import load_backend
from engine.runtime.training.saved_weights import adapter_norm
from engine.values import replace
from support.preferences import (
    LOSSES,
    SETTING,
    preference_launch,
    preference_recipe,
    trained_and_resumed,
)

pytestmark = pytest.mark.thorough

FIRST = {"dpo": math.log(2), "ipo": 25.0, "kto": 0.5}
"""Loss before any step, where it is known: neither answer has become likelier than the other."""


@pytest.mark.parametrize("loss", LOSSES)
def test_trl_begins_at_the_known_loss_and_learns(
    loss: str, tmp_path: Path, pico_model: Path
) -> None:
    launch = preference_launch(preference_recipe("trl", loss), tmp_path, pico_model)

    trained = load_backend("trl").train(launch)

    before = [point.eval_loss for point in trained.history if point.eval_loss is not None]
    assert trained.steps == 2
    assert before[-1] < before[0]
    assert adapter_norm(trained.folder) > 0
    if loss in FIRST:
        assert before[0] == pytest.approx(FIRST[loss], abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_is_trained_on_4_bit_weights_in_16_bits(
    loss: str, tmp_path: Path, pico_model: Path
) -> None:
    recipe = preference_recipe("trl", loss, kind="qlora")
    launch = preference_launch(recipe, tmp_path, pico_model)
    setting = replace(launch.setting, precision="bf16")
    config = load_backend("trl").compile(recipe, setting).text

    trained = load_backend("trl").train(replace(launch, setting=setting, config=config))

    assert trained.steps == 2
    assert trained.facts["product_dtype"] == "bfloat16"


@pytest.mark.parametrize("loss", ["dpo", "kto"])
def test_a_killed_training_goes_on_to_the_same_weights(
    loss: str, tmp_path: Path, pico_model: Path
) -> None:
    recipe = preference_recipe("trl", loss, epochs=2.0, evaluations_per_epoch=2)

    whole, resumed = trained_and_resumed(recipe, tmp_path, pico_model)

    assert resumed.resumed_from_step == whole.steps - 1
    name = "adapter_model.safetensors"
    assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_full_training_keeps_the_base_model_as_its_reference(
    tmp_path: Path, pico_model: Path
) -> None:
    recipe = preference_recipe("trl", "dpo", kind="full", learning_rate=1e-3)
    launch = preference_launch(recipe, tmp_path, pico_model)

    history = load_backend("trl").train(launch).history

    losses = [point.eval_loss for point in history if point.eval_loss is not None]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("backend", ["axolotl", "trl"])
@pytest.mark.parametrize(
    ("loss", "changes", "lines"),
    [
        ("dpo", {"beta": 0.3}, {"beta": 0.3}),
        ("dpo", {"answer_weight": 0.2}, {"losses": ["sigmoid", "sft"], "weights": [1.0, 0.2]}),
        ("ipo", {"answer_weight": 0.2}, {"losses": ["ipo", "sft"], "weights": [1.0, 0.2]}),
        ("simpo", {"gamma": 1.0}, {"gamma": 1.0}),
        ("simpo", {"answer_weight": 0.5}, {"alpha": 0.5}),
        ("kto", {"undesirable_weight": 1.5}, {"undesirable": 1.5}),
    ],
)
def test_each_key_is_its_own_line_of_the_config(
    backend: str, loss: str, changes: dict[str, Any], lines: dict[str, Any]
) -> None:
    compiler = load_backend(backend)
    usual, changed = (
        yaml.safe_load(compiler.compile(preference_recipe(backend, loss, **given), SETTING).text)
        for given in ({}, changes)
    )

    found = {
        NAMES[backend].get(key, key): changed[key]
        for key in changed
        if changed[key] != usual.get(key)
    }

    assert found == lines


NAMES = {
    "axolotl": {
        "rl_beta": "beta",
        "dpo_loss_type": "losses",
        "dpo_loss_weights": "weights",
        "simpo_gamma": "gamma",
        "cpo_alpha": "alpha",
        "kto_undesirable_weight": "undesirable",
    },
    "trl": {
        "loss_type": "losses",
        "loss_weights": "weights",
        "simpo_gamma": "gamma",
        "cpo_alpha": "alpha",
        "undesirable_weight": "undesirable",
    },
}
"""What each backend calls them."""
