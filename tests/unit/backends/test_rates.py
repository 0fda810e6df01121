"""The learning rate rises, stays and falls as the recipe says, in numbers that transformers takes."""

from typing import Any

import pytest

from engine.backends.base import rate_schedule, schedule
from engine.recipe.methods import method_mapping, method_of
from engine.recipe.model import Scheduler
from engine.recipe.validation.schema import definition, with_defaults
from engine.values import replace
from support.launches import METHOD


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


def test_words_are_compiled_as_ever() -> None:
    plan = schedule(METHOD, train_rows=400, validation_rows=0)

    assert rate_schedule(METHOD, plan) == ("cosine", {})


def test_the_resolved_recipe_says_what_was_left_open() -> None:
    written = with_defaults(
        {"kind": "full", "scheduler": {"name": "constant_then_decay"}}, definition("method")
    )
    method = method_of(written, {})

    resolved = method_mapping(method)["scheduler"]

    assert resolved == {"name": "constant_then_decay", "decay": 0.2, "floor": 0.0}
    assert method_of({**written, "scheduler": resolved}, {}) == method
