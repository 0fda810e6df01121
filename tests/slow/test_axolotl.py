"""Axolotl for real, on the CPU: the contract on a tiny model, and bf16 where the CPU has it."""

from pathlib import Path

import pytest

from engine.backends import load_backend
from engine.backends.base import Launch, Trained
from engine.backends.events import LOG
from engine.environment import detect_device
from engine.runtime.training.saved_weights import adapter_norm, model_norm
from engine.values import replace
from support.backend_suite import TrainSuite, finished
from support.launches import CPU, make_launch, make_recipe
from support.pico import make_pico_model

__all__ = ["finished"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]


@pytest.fixture(scope="session")
def pico_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


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
