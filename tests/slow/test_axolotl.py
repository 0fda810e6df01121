"""Axolotl for real, on the CPU: the contract on a tiny model, and bf16 where the CPU has it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.backends import load_backend
from engine.backends.base import Launch, Trained
from engine.backends.events import LOG
from engine.environment import detect_device
from engine.recipe.model import EarlyStopping
from engine.runtime.training.saved_weights import adapter_norm, model_norm
from engine.values import replace
from support.backend_suite import TrainSuite, finished
from support.launches import CPU, make_launch, make_recipe
from support.method_options import OPTIONS, Option
from support.pico import SPECIAL, SPECIAL_TOKENS, make_pico_model
from support.preferences import LOSSES, preference_launch, preference_recipe, trained_and_resumed
from support.soft_targets import ALL_ROWS, THREE_STEPS, first_loss, soft_launch, soft_recipe
from support.ways import TRIED_HERE, Way, way_launch

__all__ = ["finished"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]


class TestAxolotlTrains(TrainSuite):
    name = "axolotl"
    long = 20.0  # it is asked from outside, a moment after it has reported a step

    def test_rows_are_prepared_in_its_own_process(self, finished: tuple[Launch, Trained]) -> None:
        log = (finished[0].folder / LOG).read_text(encoding="utf-8")

        assert "Tokenizing Prompts" in log
        assert "num_proc=" not in log  # datasets would start a pool even for one process


def test_bf16_on_a_cpu_that_has_it_is_bf16_in_every_product(
    tmp_path: Path, pico_model: Path
) -> None:
    device = replace(detect_device(), cores=2)
    if device.kind != "cpu" or not device.bf16:
        pytest.skip("this machine has no CPU with bf16 to train on")
    recipe = make_recipe("axolotl", precision="bf16", epochs=1.0)

    trained = load_backend("axolotl").train(
        make_launch(recipe, tmp_path, pico_model, device=device)
    )

    assert trained.facts["product_dtype"] == "bfloat16"
    assert list(trained.facts["weights"]["frozen"]) == ["bfloat16"]
    assert list(trained.facts["weights"]["trainable"]) == ["float32"]
    assert (
        trained.facts["bf16"],
        trained.facts["device"],
        trained.facts["threads"],
    ) == (True, "cpu", 2)


def test_full_training_in_bf16_keeps_32_bit_weights(tmp_path: Path, pico_model: Path) -> None:
    device = replace(CPU, bf16=True)
    recipe = make_recipe("axolotl", kind="full", epochs=1.0, learning_rate=1e-4)

    trained = load_backend("axolotl").train(
        make_launch(recipe, tmp_path, pico_model, device=device)
    )

    assert list(trained.facts["weights"]["trainable"]) == ["float32"]
    assert trained.facts["product_dtype"] == "bfloat16"
    assert model_norm(trained.folder, pico_model) > 0


def test_qlora_trains_on_the_cpu(tmp_path: Path, pico_model: Path) -> None:
    recipe = make_recipe("axolotl", kind="qlora", epochs=1.0)

    trained = load_backend("axolotl").train(make_launch(recipe, tmp_path, pico_model))

    assert trained.facts["weights"]["frozen"]["nf4"] > 0
    assert adapter_norm(trained.folder) > 0


def test_both_backends_train_the_same_rows_in_the_same_way(
    tmp_path: Path, pico_model: Path
) -> None:
    """Equal losses before training prove equal tokens and masks; close ones after, an equal schedule.

    All validation rows are one batch: the mean over batches depends on which rows share one.
    """
    histories = []
    for name in ("axolotl", "trl"):
        recipe = make_recipe(name, micro_batch_size=8)
        launch = make_launch(recipe, tmp_path / name, pico_model)
        trained = load_backend(name).train(launch)
        histories.append([point for point in trained.history if point.eval_loss is not None])
    axolotl, trl = histories

    assert [point.step for point in axolotl] == [point.step for point in trl]
    assert axolotl[0].eval_loss == pytest.approx(trl[0].eval_loss, rel=1e-5)
    assert axolotl[-1].eval_loss == pytest.approx(trl[-1].eval_loss, rel=0.25)


def test_rows_that_do_not_fill_the_last_batch_train_every_planned_step(
    tmp_path: Path, pico_model: Path
) -> None:
    """By itself Axolotl would count 11 steps: it multiplies rows by epochs before it rounds."""
    recipe = make_recipe("axolotl", epochs=3.0, batch_size=7, micro_batch_size=7)

    trained = load_backend("axolotl").train(make_launch(recipe, tmp_path, pico_model))

    assert (trained.steps, trained.stopped_early) == (12, False)


# Preferences with the real Axolotl: from one file of text it begins at TRL's loss.
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


# Soft targets with the real Axolotl: from the same targets it begins at TRL's loss.
BOTH_WAYS = pytest.mark.parametrize("method", [{}, {"kind": "full"}], ids=["lora", "full"])


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


def test_a_killed_training_with_soft_targets_goes_on_to_the_same_weights(
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


# Axolotl trains three steps with every option of `method`, on the CPU, and what it trained is what was asked for.
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


# Axolotl trains in every way that is no option and no preference, which have files of their own, on the CPU.
@pytest.mark.sampled(2)
@pytest.mark.parametrize("way", TRIED_HERE.values(), ids=TRIED_HERE.keys())
def test_axolotl_trains_it_as_trl_does(way: Way, tmp_path: Path, pico_model: Path) -> None:
    launch = way_launch("axolotl", way, tmp_path / "axolotl", pico_model)
    beside = way_launch("trl", way, tmp_path / "trl", pico_model)

    trained, reference = (
        load_backend(name).train(one) for name, one in (("axolotl", launch), ("trl", beside))
    )

    assert trained.steps == reference.steps >= 3
    first, expected = (
        next(point.eval_loss for point in one.history if point.eval_loss is not None)
        for one in (trained, reference)
    )
    # Each library packs the weights of qlora into 4 bits by itself.
    assert first == pytest.approx(expected, rel=1e-2 if launch.method.kind == "qlora" else 1e-3)
    if launch.method.kind == "full":
        assert model_norm(trained.folder, launch.base_model) > 0
    else:
        assert adapter_norm(trained.folder) > 0
