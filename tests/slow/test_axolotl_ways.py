"""Axolotl trains in every way that is no option and no preference, which have files of their own, on the CPU."""

from pathlib import Path

import pytest

from engine.backends import load_backend
from engine.runtime.training.saved_weights import adapter_norm, model_norm
from support.pico import make_pico_model
from support.ways import TRIED_HERE, Way, way_launch

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]


@pytest.fixture(scope="module")
def pico_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


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
