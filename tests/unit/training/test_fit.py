"""Before training it is known whether the base model has what a method names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import StageError
from engine.recipe.model import TrainOnly
from engine.training.fit import refuse_unfit, unfit
from support.launches import make_recipe
from support.pico import make_pico_model


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_pico_model(tmp_path / "base")


@pytest.mark.parametrize(
    ("method", "code", "path"),
    [
        ({"layers": (0, 2)}, "X730", "method.layers"),
        ({"layers": "last_3"}, "X730", "method.layers"),
        (
            {"kind": "full", "train_only": TrainOnly(layers="last_3")},
            "X730",
            "method.train_only.layers",
        ),
        ({"ranks": (("q_prj", 4),)}, "X731", "method.ranks.q_prj"),
        ({"target_modules": ("q_proj", "v_prj")}, "X731", "method.target_modules"),
    ],
)
def test_what_the_base_model_does_not_have_is_refused(
    method: dict[str, Any], code: str, path: str, base: Path
) -> None:
    with pytest.raises(StageError) as refused:
        refuse_unfit(make_recipe("trl", **method).method, base)

    [problem] = refused.value.problems
    assert (problem.code, problem.path) == (code, path)
    assert problem.hint


@pytest.mark.parametrize(
    "method",
    [
        {},
        {"layers": "last_2"},
        {"layers": (1,), "ranks": (("down_proj", 2), ("self_attn.q_proj", 8))},
        {"kind": "full", "train_only": TrainOnly(embeddings=True)},
    ],
    ids=str,
)
def test_what_it_has_is_trained(method: dict[str, Any], base: Path) -> None:
    refuse_unfit(make_recipe("trl", **method).method, base)


@pytest.mark.parametrize(
    ("method", "codes"),
    [
        ({"layers": (0, 2), "ranks": (("q_prj", 4),)}, ["X730", "X731"]),
        ({"layers": (1,), "ranks": (("down_proj", 2), ("self_attn.q_proj", 8))}, []),
    ],
)
def test_a_shape_alone_says_it_too(method: dict[str, Any], codes: list[str]) -> None:
    names = ("q_proj", "k_proj", "down_proj")

    found = unfit(make_recipe("trl", **method).method, layers=2, modules=names)

    assert [one.code for one in found] == codes


def test_what_is_not_known_of_a_base_model_is_not_refused() -> None:
    method = make_recipe("trl", layers=(0, 2), ranks=(("q_prj", 4),)).method

    assert list(unfit(method, layers=None, modules=())) == []
