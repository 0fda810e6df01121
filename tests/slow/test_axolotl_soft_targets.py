"""Soft targets with the real Axolotl: from the same targets it begins at TRL's loss."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.backends import load_backend
from engine.backends.base import Trained
from engine.runtime.training.saved_weights import adapter_norm
from engine.values import replace
from support.pico import make_pico_model
from support.soft_targets import ALL_ROWS, THREE_STEPS, first_loss, soft_launch, soft_recipe

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]
BOTH_WAYS = pytest.mark.parametrize("method", [{}, {"kind": "full"}], ids=["lora", "full"])


@pytest.fixture(scope="session")
def pico_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("teacher") / "model", seed=5)


def trained_by(name: str, folder: Path, models: tuple[Path, Path], **given: Any) -> Trained:
    recipe = soft_recipe(name, **given)
    return load_backend(name).train(soft_launch(recipe, folder / name, *models))


@BOTH_WAYS
def test_both_backends_begin_at_the_same_loss(
    method: dict[str, Any], tmp_path: Path, pico_model: Path, teacher: Path
) -> None:
    found = {
        name: trained_by(name, tmp_path, (pico_model, teacher), **ALL_ROWS, **method)
        for name in ("axolotl", "trl")
    }

    one, other = map(first_loss, found.values())
    print("first-step loss", one, other)  # noqa: T201 - shown by -s
    assert one == pytest.approx(other, abs=1e-3)
    firsts = [trained.facts["soft_targets"]["first"] for trained in found.values()]
    assert firsts[0] == pytest.approx(firsts[1], abs=1e-5)


def test_axolotl_learns_nothing_of_itself_and_three_steps_of_a_teacher(
    tmp_path: Path, pico_model: Path, teacher: Path
) -> None:
    itself = trained_by("axolotl", tmp_path / "itself", (pico_model, pico_model), weight=1.0)
    models = (pico_model, teacher)
    taught = trained_by("axolotl", tmp_path / "taught", models, **THREE_STEPS, weight=1.0)

    assert itself.facts["soft_targets"]["first"] < 1e-4
    assert taught.steps == 3
    assert taught.facts["shared_prefix"]["used"]
    assert taught.facts["soft_targets"]["last"] < taught.facts["soft_targets"]["first"]
    assert adapter_norm(taught.folder) > 0


def test_a_killed_training_goes_on_to_the_same_weights(
    tmp_path: Path, pico_model: Path, teacher: Path
) -> None:
    recipe = soft_recipe("axolotl", epochs=2.0)
    launch = soft_launch(recipe, tmp_path, pico_model, teacher)
    whole = load_backend("axolotl").train(launch)
    again = replace(launch, folder=tmp_path / "again")
    shutil.copytree(launch.folder, again.folder, symlinks=True)
    shutil.rmtree(again.folder / "output" / f"checkpoint-{whole.steps}")

    resumed = load_backend("axolotl").train(again)

    assert resumed.resumed_from_step == 3
    name = "adapter_model.safetensors"
    assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()
