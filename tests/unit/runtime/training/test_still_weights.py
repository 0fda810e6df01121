"""Weights that stand still though they have a gradient are named, and others are not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from engine.runtime.training.still_weights import StillWeights

RISING = SimpleNamespace(
    learning_rate=1e-3, adam_epsilon=1e-8, get_warmup_steps=lambda steps: steps // 10
)


def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 8, bias=False))


def looked_at(of: Any, held: list[Any], *, gradient: float = 1.0, rate: float = 1e-3) -> Any:
    """What is found of a step of an optimizer that holds some weights."""
    look = StillWeights()
    for weight in of.parameters():
        weight.grad = torch.full_like(weight, gradient)
    look.before(of, RISING, 100)
    torch.optim.AdamW(held, lr=rate, weight_decay=0.0).step()
    return look.after(of)


def test_weights_that_move_are_not_named() -> None:
    found = model()

    assert looked_at(found, [*found.parameters()]) == {"names": [], "count": 0, "of": 2}


def test_weights_that_the_optimizer_does_not_hold_are() -> None:
    found = model()

    assert looked_at(found, [found[0].weight])["names"] == ["1.weight"]


def test_so_are_those_of_a_rate_of_nothing() -> None:
    found = model()

    assert looked_at(found, [*found.parameters()], rate=0.0)["count"] == 2


def test_where_no_gradient_flows_nothing_has_to_move() -> None:
    found = model()

    assert looked_at(found, [found[0].weight], gradient=0.0)["count"] == 0


def test_gradients_of_rounding_alone_move_nothing() -> None:
    found = model()
    found[1].weight.data.fill_(1.0)

    assert looked_at(found, [*found.parameters()], gradient=1e-14)["count"] == 0


def test_weights_in_which_a_step_is_lost_do_not_count() -> None:
    found = model()
    found[1].weight.data.fill_(1e4)

    assert looked_at(found, [*found.parameters()])["count"] == 0


def test_a_step_that_was_not_looked_at_has_no_answer() -> None:
    assert StillWeights().after(model()) is None
