"""A layer and its adapter in one function give what PEFT's steps give."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from engine.runtime.training.fused_lora import _Product, fuse


def adapted(*, bias: bool = False, dtype: torch.dtype = torch.bfloat16, **settings: Any) -> Any:
    torch.manual_seed(1)
    model = nn.Sequential()
    model.add_module("one", nn.Linear(24, 32, bias=bias))
    model.add_module("two", nn.Linear(32, 8, bias=bias))
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["one", "two"], **settings)
    found = get_peft_model(model.to(dtype), config)
    for name, weight in found.named_parameters():
        if "lora_B" in name:  # begins as zeros, which would hide half of the gradients
            nn.init.normal_(weight, std=0.3)
    return found


def answer(model: Any, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        y = model(x)
    y.float().pow(2).sum().backward()
    return y.detach(), [one.grad.clone() for one in model.parameters() if one.requires_grad]


@pytest.mark.parametrize("bias", [False, True])
def test_product_and_gradients_are_those_of_peft_but_for_rounding(*, bias: bool) -> None:
    model, x = adapted(bias=bias), torch.randn(2, 7, 24, dtype=torch.bfloat16)

    y, gradients = answer(model, x)
    assert fuse(model, on=True) == 2
    fused, others = answer(model, x)

    torch.testing.assert_close(fused, y, rtol=0.03, atol=0.05)
    for one, other in zip(gradients, others, strict=True):
        assert one.dtype == other.dtype
        assert ((one - other).norm() / one.norm()).item() < 0.02


def test_the_gradients_are_the_derivatives() -> None:
    def of(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, dtype=torch.float64)

    x, weight, a, b = of(5, 6), of(4, 6), of(2, 6), of(4, 2)
    learned = [one.requires_grad_() for one in (x, a, b)]

    assert torch.autograd.gradcheck(lambda x, a, b: _Product.apply(x, weight, a, b, 1.5), learned)


@pytest.mark.parametrize(
    "settings",
    [
        {"lora_dropout": 0.1},
        {"use_dora": True},
        {"lora_bias": True, "bias": True},
        {"dtype": torch.float32},
    ],
)
def test_what_is_more_than_a_plain_adapter_is_left_to_peft(settings: dict[str, Any]) -> None:
    assert fuse(adapted(**settings), on=True) == 0


def test_a_disabled_adapter_is_not_added() -> None:
    model, x = adapted(), torch.randn(3, 24, dtype=torch.bfloat16)
    fuse(model, on=True)

    with model.disable_adapter():
        plain = model(x)

    assert torch.equal(
        plain, model.base_model.model.two.base_layer(model.base_model.model.one.base_layer(x))
    )


def test_a_layer_that_is_looked_at_computes_its_own_product() -> None:
    model, x = adapted(), torch.randn(3, 24, dtype=torch.bfloat16)
    seen: list[torch.dtype] = []
    layer = model.base_model.model.one.base_layer
    hook = layer.register_forward_hook(lambda _, __, result: seen.append(result.dtype))
    fuse(model, on=True)

    answer(model, x)
    hook.remove()
    answer(model, x)

    assert seen == [torch.bfloat16]
