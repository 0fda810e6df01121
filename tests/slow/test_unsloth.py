"""Unsloth for real, on the CPU, where `UNSLOTH_PYTHON` names an environment with it."""

from pathlib import Path

import pytest

from engine.backends import load_backend
from engine.backends.base import Trained
from engine.environment import detect_device
from engine.runtime.training.saved_weights import model_norm
from engine.values import replace
from support.backend_suite import TrainSuite, finished
from support.launches import CPU, make_launch, make_recipe
from support.unsloth_stand_in import needs_unsloth

__all__ = ["finished"]
pytestmark = [pytest.mark.slow, needs_unsloth]


class TestUnslothTrains(TrainSuite):
    name = "unsloth"
    long = 20.0  # it is asked from outside, a moment after it has reported a step

    def test_gradients_that_an_evaluation_changes_are_refused_before_the_first_step(
        self, tmp_path: Path, pico_model: Path
    ) -> None:
        """No config makes them: Unsloth keeps 4-bit weights in the order of the backward pass itself."""
        launch = make_launch(make_recipe(self.name, kind="qlora", epochs=1.0), tmp_path, pico_model)

        trained = load_backend(self.name).train(launch)

        assert trained.facts["weights"]["frozen"]["nf4"] > 0
        assert '"cosine": 1.0' in (launch.folder / "events.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_trains_the_same_rows_in_the_same_way_as_trl(
    tmp_path: Path, pico_model: Path, precision: str
) -> None:
    """Equal losses of every step prove equal tokens, masks, weights of the adapter, and rates."""
    device = replace(CPU, bf16=precision == "bf16")
    if precision == "bf16" and not detect_device().bf16:
        pytest.skip("this CPU has no bf16")
    unsloth, trl = (
        load_backend(name).train(
            make_launch(
                make_recipe(name, precision=precision), tmp_path / name, pico_model, device=device
            )
        )
        for name in ("unsloth", "trl")
    )

    assert unsloth.facts["weights"] == trl.facts["weights"]
    assert unsloth.facts["product_dtype"] == trl.facts["product_dtype"]
    assert _losses(unsloth) == pytest.approx(_losses(trl), rel=1e-4)


def test_full_training_keeps_32_bit_weights(tmp_path: Path, pico_model: Path) -> None:
    device = replace(CPU, bf16=detect_device().bf16)
    recipe = make_recipe("unsloth", kind="full", epochs=1.0, learning_rate=1e-4)

    trained = load_backend("unsloth").train(
        make_launch(recipe, tmp_path, pico_model, device=device)
    )

    assert list(trained.facts["weights"]["trainable"]) == ["float32"]
    assert model_norm(trained.folder, pico_model) > 0


def _losses(trained: Trained) -> list[float]:
    return [point.loss for point in trained.history if point.loss is not None]
