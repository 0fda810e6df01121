"""Every way to train with every backend: it trains a few steps for real, or is refused with the reason.

What the options of `method` and preferences leave in a model is tried in the files beside this one, Axolotl's half of
all in `tests/slow`.
"""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.backends import BACKENDS, load_backend
from engine.cli.main import main
from engine.recipe.methods import OPTIONS as KEYS
from engine.runtime.training.saved_weights import adapter_norm, model_norm
from support.estimates import recipe_in
from support.paths import ROOT
from support.preferences import LOSSES
from support.ways import COMPILED, TRIED_HERE, WAYS, Way, refusals, table, way_launch, way_recipe

PAGE = ROOT / "docs" / "how-to" / "tune-the-method.md"
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


def test_no_way_is_left_out() -> None:
    keys = {key for way in WAYS.values() for key in way.method}

    assert set(KEYS) <= keys
    assert set(LOSSES) <= set(WAYS)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("backend", sorted(BACKENDS))
@each_way
def test_a_backend_trains_it_or_refuses_it_before_anything_is_spent(
    backend: str, way: Way, pico_model: Path
) -> None:
    refused = refusals(way_recipe(backend, way, pico_model))

    takes = way.compiles if backend == COMPILED else backend in way.trains
    assert takes is not bool(refused), refused


@pytest.mark.sampled(4)
@pytest.mark.parametrize("way", TRIED_HERE.values(), ids=TRIED_HERE.keys())
def test_trl_trains_it(way: Way, tmp_path: Path, pico_model: Path) -> None:
    launch = way_launch("trl", way, tmp_path, pico_model)

    trained = load_backend("trl").train(launch)

    losses = [point.loss for point in trained.history if point.loss is not None]
    assert trained.steps >= 3
    assert losses
    assert all(math.isfinite(loss) for loss in losses)
    if launch.method.kind == "full":
        assert model_norm(trained.folder, launch.base_model) > 0
    else:
        assert adapter_norm(trained.folder) > 0


@pytest.mark.parametrize(
    ("backend", "method", "code"),
    [
        ("unsloth", {"dora": True, "dropout": 0}, "R351"),
        ("unsloth", {"dropout": 0.1}, "B441"),
        ("nanotron", {}, "B445"),
    ],
)
def test_a_plan_refuses_it_with_the_reason(
    backend: str,
    method: dict[str, Any],
    code: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe_in(tmp_path, **method)
    path = tmp_path / "recipe.yaml"
    fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**fields, "backend": {"name": backend}}), encoding="utf-8")

    assert main(["plan", str(path), "--store", str(tmp_path / "store")]) != 0

    shown = capsys.readouterr().err
    assert code in shown
    assert f"the {backend} backend" in shown


def test_the_docs_show_the_table() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), table()
