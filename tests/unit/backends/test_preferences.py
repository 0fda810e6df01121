"""What each backend is given of preferences, as it was reviewed."""

from typing import Any

import pytest
import yaml

from engine.backends import load_backend
from engine.backends.axolotl import PINNED
from engine.backends.checks import vocabulary
from engine.errors import RecipeError
from engine.values import replace
from support.golden import Golden
from support.preferences import SETTING, preference_recipe

CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("dpo", {"answer_weight": 0.2}),
    ("ipo", {}),
    ("orpo", {}),
    ("simpo", {}),
    ("kto", {"undesirable_weight": 1.33}),
]


@pytest.mark.parametrize("backend", ["axolotl", "trl"])
@pytest.mark.parametrize(("loss", "changes"), CONFIGS, ids=[case[0] for case in CONFIGS])
def test_the_compiled_config_is_the_reviewed_one(
    backend: str, loss: str, changes: dict[str, Any], golden: Golden
) -> None:
    recipe = preference_recipe(backend, loss, **changes)

    text = load_backend(backend).compile(recipe, SETTING).text

    golden(f"{backend}/{loss}-cpu-fp32.yaml", text)


@pytest.mark.parametrize(("loss", "changes"), CONFIGS, ids=[case[0] for case in CONFIGS])
def test_axolotl_is_given_only_keys_that_it_knows(loss: str, changes: dict[str, Any]) -> None:
    config = load_backend("axolotl").compile(preference_recipe("axolotl", loss, **changes), SETTING)

    assert set(yaml.safe_load(config.text)) <= set(vocabulary("axolotl", PINNED).kinds)


@pytest.mark.parametrize("backend", ["axolotl", "trl"])
def test_another_kind_of_task_is_given_nothing_of_preferences(backend: str) -> None:
    recipe = preference_recipe(backend, "dpo")
    plain = replace(recipe, method=replace(recipe.method, preference=None))

    keys = yaml.safe_load(load_backend(backend).compile(plain, SETTING).text)

    assert not {"rl", "rl_beta", "preference", "beta", "loss_type"} & keys.keys()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"overrides": [("group_by_length", True)]}, "backend.overrides.group_by_length"),
        ({"overrides": [("pad_to_sequence_len", True)]}, "backend.overrides.pad_to_sequence_len"),
    ],
)
def test_an_option_that_axolotl_would_drop_silently_is_refused(
    changes: dict[str, Any], path: str
) -> None:
    recipe = preference_recipe("axolotl", "dpo", **changes)
    plain = replace(recipe, method=replace(recipe.method, preference=None))

    [problem] = load_backend("axolotl").check(recipe)

    assert (problem.code, problem.path) == ("B447", path)
    assert load_backend("axolotl").check(plain) == ()
    with pytest.raises(RecipeError, match="B447"):
        load_backend("axolotl").compile(recipe, SETTING)


@pytest.mark.parametrize("backend", ["axolotl", "trl"])
def test_preferences_are_learned_with_noise(backend: str) -> None:
    recipe = preference_recipe(backend, "dpo", neftune_alpha=5.0)

    keys = yaml.safe_load(load_backend(backend).compile(recipe, SETTING).text)

    # Axolotl's trainers of preferences are given it by `engine.runtime.axolotl_plugin.Recorder`.
    assert keys["neftune_noise_alpha"] == 5
