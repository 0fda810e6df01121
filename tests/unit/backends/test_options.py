"""Options of `method` as Axolotl and TRL take them."""

from typing import Any

import pytest

from engine.backends.base import alpha_pattern, numbered, shares_prefix, unfrozen
from engine.recipe.model import TrainOnly
from support.launches import make_recipe


@pytest.mark.parametrize(
    ("layers", "expected"), [("last_1", [-1]), ("last_3", [-3, -2, -1]), ((5, 2), [2, 5])]
)
def test_last_layers_are_numbered_from_the_end(layers: Any, expected: list[int]) -> None:
    assert numbered(layers) == expected


@pytest.mark.parametrize(
    ("rslora", "expected"), [(False, {"down_proj": 16, "q_proj": 4}), (True, {})]
)
def test_alpha_follows_the_rank_but_where_one_alpha_is_for_all_ranks(
    *, rslora: bool, expected: dict[str, int]
) -> None:
    ranks = (("down_proj", 8), ("q_proj", 2))

    method = make_recipe("trl", rank=4, alpha=8, ranks=ranks, rslora=rslora).method

    assert alpha_pattern(method) == expected


def test_what_is_trained_is_named_in_parts() -> None:
    only = TrainOnly(layers="last_2", embeddings=True)

    parts = unfrozen(make_recipe("trl", kind="full", train_only=only).method)

    assert parts == ["layers.-2", "layers.-1", "embeddings"]


@pytest.mark.parametrize(
    ("method", "overrides", "shared"),
    [
        ({}, (), True),
        ({"dora": True, "loraplus_lr_ratio": 16.0, "layers": "last_1"}, (), True),
        ({"neftune_alpha": 5.0}, (), False),
        ({"loss_on": "everything"}, (), False),
        ({"dropout": 0.1}, (), False),
        ({}, (("neftune_noise_alpha", 5.0),), False),
    ],
)
def test_rows_share_their_start_unless_each_is_computed_otherwise(
    method: dict[str, Any], overrides: Any, shared: bool
) -> None:
    recipe = make_recipe("trl", **method, overrides=overrides)

    assert shares_prefix(recipe) is shared
