"""A plan refuses what the base model that is here does not have."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import StageError
from engine.estimate.base_model import refuse_unfit
from engine.recipe.model import FewerLayers, PathRef
from engine.store import Store
from engine.values import replace
from support.launches import make_recipe
from support.pico import make_pico_model


@pytest.mark.parametrize(
    ("keep", "method", "code"),
    [
        ((0, 9), {}, "X741"),
        (3, {}, "X741"),
        ((0,), {"layers": "last_2"}, "X730"),
        ((0,), {"target_modules": ("q_prj",)}, "X731"),
        ((0,), {"target_modules": ("q_proj", "embed_tokens")}, ""),
    ],
)
def test_a_plan_knows_what_the_base_model_lacks(
    keep: Any, method: dict[str, Any], code: str, tmp_path: Path
) -> None:
    base = make_pico_model(tmp_path / "base")
    whole = PathRef(path=base, written=str(base))
    recipe = replace(
        make_recipe("trl", **method), base_model=FewerLayers(of=whole, keep_layers=keep)
    )
    found = ""
    try:
        refuse_unfit(recipe, Store(tmp_path / "store"))
    except StageError as error:
        [found] = [one.code for one in error.problems]

    assert found == code
