"""Preferences with the real Axolotl: from one file of text it begins at TRL's loss."""

from pathlib import Path
from typing import Any

import pytest

from engine.backends import load_backend
from engine.backends.base import Trained
from engine.recipe.model import EarlyStopping
from support.launches import make_launch, make_recipe
from support.pico import SPECIAL, SPECIAL_TOKENS, make_pico_model
from support.preferences import LOSSES, preference_launch, preference_recipe, trained_and_resumed

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]


@pytest.fixture(scope="session")
def pico_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


def first_losses(trained: Trained) -> tuple[float, ...]:
    """The loss on the validation rows before training, and that of the first step."""
    validation = [one.eval_loss for one in trained.history if one.eval_loss is not None]
    steps = [one.loss for one in trained.history if one.loss is not None]
    return validation[0], steps[0]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("loss", LOSSES)
def test_axolotl_begins_where_trl_does_and_learns(
    loss: str, tmp_path: Path, pico_model: Path
) -> None:
    found = {
        name: load_backend(name).train(
            preference_launch(preference_recipe(name, loss), tmp_path / name, pico_model)
        )
        for name in ("axolotl", "trl")
    }

    one, other = (first_losses(trained) for trained in found.values())
    assert one[0] == pytest.approx(other[0], abs=1e-5)
    # Both draw their rows by the same seed, but each in an order of its own: known losses are the same for any row.
    if loss in ("dpo", "ipo"):
        assert one[1] == pytest.approx(other[1], abs=1e-6)
    assert [trained.steps for trained in found.values()] == [2, 2]


def test_a_model_whose_texts_end_with_another_token_than_its_turns_reads_the_same_rows(
    tmp_path: Path,
) -> None:
    names = {**SPECIAL_TOKENS, "eos_token": "<|endoftext|>"}
    model = make_pico_model(tmp_path / "model", names=names, special=SPECIAL)
    first = {
        name: first_losses(
            load_backend(name).train(
                preference_launch(preference_recipe(name, "simpo"), tmp_path / name, model)
            )
        )[0]
        for name in ("axolotl", "trl")
    }

    assert first["axolotl"] == pytest.approx(first["trl"], abs=1e-5)


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, pico_model: Path) -> None:
    recipe = preference_recipe("axolotl", "dpo", epochs=2.0, evaluations_per_epoch=2)

    whole, resumed = trained_and_resumed(recipe, tmp_path, pico_model)

    assert resumed.resumed_from_step == whole.steps - 1
    name = "adapter_model.safetensors"
    assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


@pytest.mark.parametrize(("patience", "noise"), [(None, None), (1, 0.1)])
def test_axolotl_keeps_the_best_checkpoint_of_preferences_and_stops_early(
    patience: int | None, noise: float | None, tmp_path: Path, pico_model: Path
) -> None:
    early = patience and EarlyStopping(patience=patience)
    keys: dict[str, Any] = {"keep": "best", "early_stopping": early, "neftune_alpha": noise}
    recipe = preference_recipe("axolotl", "dpo", epochs=6.0, learning_rate=1e-2, **keys)
    launch = preference_launch(recipe, tmp_path, pico_model, validates_opposite=True)
    trained = load_backend("axolotl").train(launch)
    losses = {one.step: one.eval_loss for one in trained.history if one.step and one.eval_loss}

    assert trained.kept_step == min(losses, key=lambda step: losses[step]) < trained.steps
    assert trained.stopped_early == bool(patience)


def test_axolotl_ends_with_the_last_checkpoint_where_training_may_stop_early(
    tmp_path: Path, pico_model: Path
) -> None:
    recipe = make_recipe(
        "axolotl",
        keep="last",
        early_stopping=EarlyStopping(patience=5),
        epochs=6.0,
        learning_rate=0.2,
    )
    trained = load_backend("axolotl").train(make_launch(recipe, tmp_path, pico_model))

    assert trained.kept_step == trained.steps
    # What the model says at training's end is compared with what the kept one says: they are the same weights.
    assert not trained.facts["arguments"]["load_best_model_at_end"]
