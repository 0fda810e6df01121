"""Steps that are not the optimizer's own are named, and sound ones are not."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from engine.runtime.training.taken_steps import TakenSteps
from support.apple import on_apple_gpu

ARGS = SimpleNamespace(
    adam_beta1=0.9,
    adam_beta2=0.999,
    adam_epsilon=1e-8,
    max_grad_norm=1.0,
    fp16=False,
    world_size=1,
)
Taken = list[dict[str, Any]]


def nothing(_: Any) -> None:
    """Change nothing."""


def trained(
    steps: int = 6,
    *,
    kind: Any = torch.optim.AdamW,
    between: Callable[[Any], object] = nothing,
    before: Callable[[Any], object] = nothing,
    within: Callable[[Any], object] = nothing,
    size: float = 1.0,
) -> Taken:
    """What is reported of a training whose weights or optimizer are changed on the way."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8))
    optimizer = kind(model.parameters(), lr=1e-3, weight_decay=0.01)
    scheduler = LambdaLR(optimizer, lambda step: 1 - step / 10)
    look = TakenSteps(model, ARGS, optimizer, scheduler)
    found = list[dict[str, Any] | None]()
    for step in range(steps):
        between(model)
        look.begin()
        for _ in range(2):
            (size * model(torch.randn(4, 8)).square().sum()).backward()
            within(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), ARGS.max_grad_norm)
        before(optimizer)
        found.append(look.before(step))
        optimizer.step()
        found.append(look.after())
        scheduler.step()
        model.zero_grad()
    return [one for one in found if one is not None]


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_sound_steps_are_not_named(kind: Any, size: float) -> None:
    assert trained(kind=kind, size=size) == []


def test_gradients_of_an_apple_gpu_are_compared_in_64_bits_elsewhere() -> None:
    def move(optimizer: Any) -> None:
        for weight in optimizer.param_groups[0]["params"]:
            weight.grad = on_apple_gpu(weight.grad)

    assert trained(before=move, size=1e-6) == []


def test_weights_that_change_between_steps_are() -> None:
    def change(model: Any) -> None:
        model[1].bias.data += 1

    first = trained(between=change)[0]

    assert first == {"what": "between", "names": ["1.bias"], "count": 1, "of": 4}


def test_so_is_a_rate_that_is_not_the_schedules() -> None:
    def change(optimizer: Any) -> None:
        optimizer.param_groups[0]["lr"] *= 0.9

    found = trained(before=change)

    assert [one["what"] for one in found[:3]] == ["optimizer"] * 3
    assert found[0]["count"] == 4


def test_and_gradients_that_clipping_turned_round() -> None:
    def change(optimizer: Any) -> None:
        for weight in optimizer.param_groups[0]["params"]:
            weight.grad.neg_()

    found = trained(before=change)[0]

    assert found["what"] == "clipping"
    assert "times the computed ones" in found["names"][0]


def test_a_gradient_that_is_another_one_is_none_of_the_computed() -> None:
    def change(optimizer: Any) -> None:
        optimizer.param_groups[0]["params"][0].grad.add_(1.0)

    assert trained(before=change)[0] == {"what": "clipping", "names": ["other ones"]}


def test_so_is_one_that_lacks_a_pass_of_its_step() -> None:
    passes = list[int]()

    def forget(model: Any) -> None:
        passes.append(1)
        if len(passes) % 2:
            model.zero_grad()

    assert trained(within=forget)[0] == {"what": "clipping", "names": ["other ones"]}
