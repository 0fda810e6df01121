"""Steps are counted as the trainer counts them."""

from typing import Any

import pytest

from engine.backends import load_backend
from engine.backends.axolotl import PINNED
from engine.backends.base import (
    Schedule,
    alpha_pattern,
    bounded,
    keeps_best,
    numbered,
    rate_schedule,
    schedule,
    shares_prefix,
    unfrozen,
)
from engine.backends.checks import override_problems, vocabulary
from engine.errors import RecipeError
from engine.recipe.methods import method_mapping, method_of
from engine.recipe.model import Scheduler, TrainOnly
from engine.recipe.validation.schema import definition, expand, recipe_schema, with_defaults
from engine.values import replace
from support.backend_suite import SETTING
from support.launches import METHOD, make_recipe


@pytest.mark.parametrize(
    ("rows", "batch", "micro", "epochs", "expected"),
    [
        (400, 16, 16, 2.0, 50),
        (400, 16, 4, 2.0, 50),
        (401, 16, 16, 2.0, 52),
        (401, 16, 4, 1.0, 26),
        (3, 16, 16, 1.0, 1),
        (100, 10, 10, 0.25, 3),
    ],
)
def test_a_part_of_a_batch_is_a_step(
    rows: int, batch: int, micro: int, epochs: float, expected: int
) -> None:
    method = replace(METHOD, batch_size=batch, micro_batch_size=micro, epochs=epochs)

    assert schedule(method, train_rows=rows, validation_rows=10).steps == expected


@pytest.mark.parametrize(
    ("rows", "least", "most", "steps", "every", "bound"),
    [
        (400, None, None, 100, 25, ""),
        (400, 60, 200, 100, 25, ""),
        (40, 200, 2000, 200, 50, "method.min_steps"),
        (40, 200, 100, 100, 25, "method.max_steps"),
        (4000, 200, 500, 500, 125, "method.max_steps"),
    ],
)
def test_bounds_of_steps_change_how_often_rows_are_seen(
    rows: int, least: int | None, most: int | None, steps: int, every: int, bound: str
) -> None:
    method = replace(
        METHOD, batch_size=16, micro_batch_size=16, epochs=4.0, min_steps=least, max_steps=most
    )

    plan = schedule(method, train_rows=rows, validation_rows=10)

    assert (plan.steps, plan.evaluate_every, bounded(method, plan)) == (steps, every, bound)
    assert plan.epochs == steps / plan.steps_per_epoch


@pytest.mark.parametrize(
    ("tokens", "rows", "steps", "epochs"),
    [(600_000, 400, 147, 2.94), (600_000, 4000, 147, 0.294), (100, 400, 1, 0.02)],
)
def test_a_number_of_tokens_gives_the_steps_of_packed_rows(
    tokens: int, rows: int, steps: int, epochs: float
) -> None:
    method = replace(METHOD, batch_size=8, packing=True, max_length=512, tokens=tokens, epochs=0.0)

    plan = schedule(method, train_rows=rows, validation_rows=10)

    assert (plan.steps, plan.epochs) == (steps, pytest.approx(epochs))
    assert bounded(method, plan) == "method.tokens"


def test_every_evaluation_is_also_a_checkpoint() -> None:
    method = replace(METHOD, batch_size=16, micro_batch_size=16, evaluations_per_epoch=2)

    assert schedule(method, train_rows=400, validation_rows=100) == Schedule(
        steps_per_epoch=25, steps=50, evaluate_every=12, save_every=12, warmup=5
    )


def test_more_evaluations_than_steps_is_one_a_step() -> None:
    method = replace(METHOD, evaluations_per_epoch=50)

    assert schedule(method, train_rows=24, validation_rows=8).evaluate_every == 1


def test_without_validation_rows_checkpoints_are_saved_all_the_same() -> None:
    plan = schedule(METHOD, train_rows=24, validation_rows=0)

    assert (plan.evaluate_every, plan.save_every) == (0, 3)
    assert not keeps_best(METHOD, validation_rows=0)


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 0), (0.01, 2), (0.5, 3)])
def test_warmup_is_never_one_step(ratio: float, expected: int) -> None:
    method = replace(METHOD, warmup_ratio=ratio)

    assert schedule(method, train_rows=24, validation_rows=8).warmup == expected


def test_one_step_has_no_warmup() -> None:
    method = replace(METHOD, warmup_ratio=0.1, min_steps=1, max_steps=1)

    plan = schedule(method, train_rows=24, validation_rows=8)

    assert (plan.steps, plan.warmup) == (1, 0)


# The learning rate rises, stays and falls as the recipe says, in numbers that transformers takes.
def rates(one: Any) -> list[float]:
    """Of 100 steps, as shares of the peak."""
    import torch  # not brought by what is tested
    from transformers import get_scheduler

    method = replace(METHOD, batch_size=4, epochs=1.0, scheduler=one)
    plan = schedule(method, train_rows=400, validation_rows=0)
    name, numbers = rate_schedule(method, plan)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(
        name,
        optimizer=optimizer,
        num_warmup_steps=plan.warmup,
        num_training_steps=plan.steps,
        scheduler_specific_kwargs=numbers or None,
    )
    found = []
    for _ in range(plan.steps + 1):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("name", ["cosine", "linear", "constant_then_decay"])
def test_every_schedule_rises_to_the_peak_and_ends_at_its_floor(name: Any) -> None:
    found = rates(Scheduler(name=name, floor=0.1))

    assert max(found) == found[10] == 1.0
    assert found[-1] == pytest.approx(0.1)
    assert found[10:] == sorted(found[10:], reverse=True)


def test_a_constant_rate_falls_linearly_in_the_last_part() -> None:
    found = rates(Scheduler(name="constant_then_decay", decay=0.2, floor=0.1))

    assert found[10:81] == [1.0] * 71
    assert found[90] == pytest.approx(0.55)


def test_a_constant_rate_rises_to_its_peak_first() -> None:
    found = rates("constant")

    assert found[:11] == pytest.approx([step / 10 for step in range(11)])
    assert found[10:] == [1.0] * 91


def test_a_constant_rate_without_warmup_keeps_its_name() -> None:
    method = replace(METHOD, scheduler="constant", warmup_ratio=0.0)
    plan = schedule(method, train_rows=400, validation_rows=0)

    assert rate_schedule(method, plan) == ("constant", {})


def test_without_a_floor_the_rate_falls_as_by_the_word() -> None:
    for name in ("cosine", "linear"):
        assert rates(Scheduler(name=name)) == pytest.approx(rates(name))


def test_the_resolved_recipe_says_what_was_left_open() -> None:
    written = with_defaults(
        {"kind": "full", "scheduler": {"name": "constant_then_decay"}}, definition("method")
    )
    method = method_of(written, {})

    resolved = method_mapping(method)["scheduler"]

    assert resolved == {"name": "constant_then_decay", "decay": 0.2, "floor": 0.0}
    assert method_of({**written, "scheduler": resolved}, {}) == method


# Values of `backend.overrides`: within reason, whatever the key.
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


# Options of `method` as Axolotl and TRL take them.
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
