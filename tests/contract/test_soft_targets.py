"""Soft targets in the trl backend: real steps of a tiny model; Axolotl's half runs in `tests/slow`."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.backends import BACKENDS, load_backend
from engine.backends.base import shares_prefix
from engine.runtime.models.load import load_model
from engine.runtime.training.saved_weights import adapter_norm
from engine.values import replace
from support.backend_suite import SETTING
from support.pico import make_pico_model
from support.soft_targets import (
    ALL_ROWS,
    THREE_STEPS,
    asked,
    first_loss,
    read_rows,
    soft_launch,
    soft_recipe,
)

pytestmark = pytest.mark.thorough

TRAINS = ("axolotl", "trl")
BOTH_WAYS = pytest.mark.parametrize(
    "method", [{}, {"dropout": 0.05}, {"kind": "full"}], ids=["shared", "plain", "full"]
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("teacher") / "model", seed=5)


@BOTH_WAYS
def test_trl_takes_three_steps_towards_the_teacher(
    method: dict[str, Any], tmp_path: Path, pico_model: Path, teacher: Path
) -> None:
    recipe = soft_recipe("trl", weight=1.0, **THREE_STEPS, **method)
    launch = soft_launch(recipe, tmp_path, pico_model, teacher)

    trained = load_backend("trl").train(launch)

    learned = trained.facts["soft_targets"]
    assert trained.steps == 3
    assert learned["last"] < learned["first"]
    shares = shares_prefix(soft_recipe("trl", **method))
    assert trained.facts.get("shared_prefix", {"used": False})["used"] is shares
    if launch.method.kind != "full":
        assert adapter_norm(trained.folder) > 0


@BOTH_WAYS
def test_a_student_that_is_its_teacher_has_nothing_to_learn(
    method: dict[str, Any], tmp_path: Path, pico_model: Path
) -> None:
    """The test of an off-by-one: targets that lie beside their tokens give a divergence of nats."""
    recipe = soft_recipe("trl", weight=1.0, **{**method, "dropout": 0.0})
    trained = load_backend("trl").train(soft_launch(recipe, tmp_path, pico_model, pico_model))

    assert trained.facts["soft_targets"]["first"] < 1e-4
    assert first_loss(trained) < 4e-4, "times the square of the temperature"


def test_targets_one_token_off_are_far_from_the_student(tmp_path: Path, pico_model: Path) -> None:
    """What the test above would measure if the targets lay one token off."""
    launch = soft_launch(soft_recipe("trl"), tmp_path, pico_model, pico_model)
    rows = read_rows(launch.rows / "train.jsonl", pico_model)
    found = asked(rows, pico_model)

    import torch

    shifted = torch.cat([one.log_probabilities.float().roll(1, 0) for one in found.values()])
    kept = torch.cat([one.log_probabilities.float() for one in found.values()])

    assert (shifted - kept).abs().max() > 1e-2


def test_the_loss_is_the_weighted_sum_of_both(
    tmp_path: Path, pico_model: Path, teacher: Path
) -> None:
    losses = {}
    for weight in (1e-9, 0.25, 1.0):
        recipe = soft_recipe("trl", weight=weight, temperature=3.0)
        launch = soft_launch(recipe, tmp_path / str(weight), pico_model, teacher)
        losses[weight] = first_loss(load_backend("trl").train(launch))

    hard, mixed, soft = losses.values()
    assert mixed == pytest.approx(0.25 * soft + 0.75 * hard, rel=1e-4)
    assert soft != pytest.approx(hard, rel=1e-2)


def test_the_loss_is_that_of_the_definition(
    tmp_path: Path, pico_model: Path, teacher: Path
) -> None:
    """Over all rows in one step, from logits of both whole models."""
    import torch

    recipe = soft_recipe("trl", weight=1.0, **ALL_ROWS)
    launch = soft_launch(recipe, tmp_path, pico_model, teacher)
    rows = read_rows(launch.rows / "train.jsonl", pico_model)
    models = [
        load_model(folder, device=launch.setting.device, precision="fp32").model
        for folder in (pico_model, teacher)
    ]
    total, tokens = 0.0, 0
    for row in rows:
        ids, labels = (torch.tensor([row[name]]) for name in ("input_ids", "labels"))
        with torch.no_grad():
            student, its = (model(input_ids=ids).logits[0, :-1] for model in models)
        wanted = labels[0, 1:] != -100
        places = its[wanted].topk(16).indices
        q = (student[wanted].gather(1, places) / 2).log_softmax(-1)
        p = (its[wanted].gather(1, places) / 2).log_softmax(-1)
        total += float((p.exp() * (p - q)).sum()) * 4
        tokens += int(wanted.sum())

    trained = load_backend("trl").train(launch)

    assert first_loss(trained) == pytest.approx(total / tokens, rel=1e-3)


@pytest.mark.parametrize("method", [{}, {"loss_on": "everything"}], ids=["answers", "everything"])
def test_a_killed_training_goes_on_to_the_same_weights(
    method: dict[str, Any], tmp_path: Path, pico_model: Path, teacher: Path
) -> None:
    recipe = soft_recipe("trl", epochs=2.0, **method)
    launch = soft_launch(recipe, tmp_path, pico_model, teacher)
    whole = load_backend("trl").train(launch)
    again = replace(launch, folder=tmp_path / "again")
    shutil.copytree(launch.folder, again.folder, symlinks=True)
    shutil.rmtree(again.folder / "output" / f"checkpoint-{whole.steps}")

    resumed = load_backend("trl").train(again)

    assert resumed.resumed_from_step == 3
    assert resumed.facts["soft_targets"]["first"] is None
    name = "adapter_model.safetensors"
    assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_rows_that_the_teacher_was_not_asked_are_refused(
    tmp_path: Path, pico_model: Path, teacher: Path
) -> None:
    launch = soft_launch(soft_recipe("trl"), tmp_path, pico_model, teacher)
    other = launch.rows / "train.jsonl"
    other.write_text(other.read_text("utf-8").replace("film", "plot"), encoding="utf-8")

    with pytest.raises(Exception, match="the teacher was not asked"):
        load_backend("trl").train(launch)


@pytest.mark.parametrize("name", TRAINS)
@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"weight": 0.9}, {"distillation_weight": 0.9}),
        ({"temperature": 1.0}, {"distillation_temperature": 1.0}),
    ],
)
def test_each_key_is_its_own_line_of_the_config(
    name: str, changes: dict[str, Any], lines: dict[str, Any]
) -> None:
    usual, changed = (
        load_backend(name).compile(soft_recipe(name, **given), SETTING).lines
        for given in ({}, changes)
    )

    found = [new for old, new in zip(usual, changed, strict=True) if old != new]

    assert {line.key: line.value for line in found} == lines
    assert {line.origin for line in found} == {f"teacher.{key}" for key in changes}


@pytest.mark.parametrize("name", sorted(BACKENDS.keys() - TRAINS))
def test_a_backend_without_soft_targets_refuses_them(name: str) -> None:
    problems = load_backend(name).check(soft_recipe(name))

    assert ("B446", "teacher.targets") in {(one.code, one.path) for one in problems}
