"""Values of `backend.overrides`: within reason, whatever the key."""

from typing import Any

import pytest

from engine.backends import load_backend
from engine.backends.axolotl import PINNED
from engine.backends.checks import override_problems, vocabulary
from engine.errors import RecipeError
from engine.recipe.model import Scheduler
from engine.recipe.validation.schema import expand, recipe_schema
from support.backend_suite import SETTING
from support.launches import make_recipe

NUMBERS = frozenset({"int", "float"})
AXOLOTL, TRL = vocabulary("axolotl", PINNED), vocabulary("trl")


def test_the_example_in_the_reference_is_taken() -> None:
    """A recipe that names no backend is trained by Axolotl."""
    section = expand(recipe_schema()["properties"]["backend"])
    examples = expand(section["properties"]["overrides"])["examples"]

    found = [override_problems(tuple(example.items()), AXOLOTL) for example in examples]

    assert found == [()] * len(examples)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataloader_num_workers", 100_000),
        ("dataloader_num_workers", -1),
        ("eval_batch_size", 10**9),
        ("logging_steps", 0),
        ("save_total_limit", 10**9),
        ("adam_beta1", 2),
        ("max_grad_norm", -1.0),
    ],
)
def test_a_value_out_of_reason_is_refused(key: str, value: float) -> None:
    (problem,) = override_problems([(key, value)], AXOLOTL)

    assert problem.code == "B407"
    assert problem.path == f"backend.overrides.{key}"
    assert "must be from" in problem.message


def test_so_it_is_in_the_other_backend() -> None:
    (problem,) = override_problems([("per_device_eval_batch_size", 10**9)], TRL)

    assert problem.code == "B407"


def test_usual_values_are_taken() -> None:
    usual = [("dataloader_num_workers", 4), ("logging_steps", 10), ("adam_beta2", 0.95)]

    assert override_problems(usual, AXOLOTL) == ()


def test_every_number_that_may_be_set_has_a_range() -> None:
    open_ended = {
        key
        for one in (AXOLOTL, TRL)
        for key in one.overridable
        if one.kinds[key] & NUMBERS and key not in one.ranges
    }

    assert open_ended == set()


@pytest.mark.parametrize(
    ("backend", "method", "key", "overrides"),
    [
        ("axolotl", {"scheduler": "linear"}, "cosine_min_lr_ratio", {"cosine_min_lr_ratio": 0.1}),
        (
            "axolotl",
            {"scheduler": Scheduler(name="cosine", floor=0.1)},
            "cosine_min_lr_ratio",
            {"cosine_min_lr_ratio": 0.1},
        ),
        ("axolotl", {"kind": "full"}, "loraplus_lr_ratio", {"loraplus_lr_ratio": 16.0}),
        ("axolotl", {"kind": "full"}, "lora_mlp_kernel", {"lora_mlp_kernel": True}),
        ("axolotl", {}, "adam_beta1", {"optimizer": "sgd", "adam_beta1": 0.8}),
        ("trl", {}, "adam_epsilon", {"optim": "adafactor", "adam_epsilon": 1e-6}),
        ("unsloth", {}, "adam_beta2", {"optim": "sgd", "adam_beta2": 0.95}),
    ],
)
def test_what_would_do_nothing_is_refused(
    backend: str, method: dict[str, Any], key: str, overrides: dict[str, Any]
) -> None:
    recipe = make_recipe(backend, overrides=overrides.items(), **method)

    [problem] = load_backend(backend).check(recipe)

    assert (problem.code, problem.path) == ("B447", f"backend.overrides.{key}")
    with pytest.raises(RecipeError, match="B447"):
        load_backend(backend).compile(recipe, SETTING)


@pytest.mark.parametrize(
    ("backend", "method", "overrides"),
    [
        ("axolotl", {"scheduler": "cosine"}, {"cosine_min_lr_ratio": 0.1}),
        ("axolotl", {"kind": "lora"}, {"loraplus_lr_ratio": 16.0, "lora_mlp_kernel": True}),
        ("axolotl", {"kind": "full"}, {"lora_mlp_kernel": False}),
        ("axolotl", {}, {"optimizer": "paged_adamw_8bit", "adam_beta1": 0.8}),
        ("trl", {}, {"adam_beta1": 0.8}),
    ],
)
def test_what_is_read_is_taken(
    backend: str, method: dict[str, Any], overrides: dict[str, Any]
) -> None:
    recipe = make_recipe(backend, overrides=overrides.items(), **method)

    assert load_backend(backend).check(recipe) == ()
