"""A norm in few passes gives what transformers' steps give."""

from typing import Any

import pytest
import torch
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from engine.runtime.training.fused_lora import _Norm, fuse_norms


def norm(dtype: torch.dtype = torch.bfloat16, kind: Any = LlamaRMSNorm) -> Any:
    torch.manual_seed(2)
    found = kind(48).to(dtype)
    torch.nn.init.uniform_(found.weight, 0.5, 2)
    return torch.nn.Sequential(found.requires_grad_(False))


def answer(model: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    y = model(x)
    (y.float() ** 3).sum().backward()
    assert x.grad is not None
    return y.detach(), x.grad


def test_the_norm_is_that_of_transformers_and_its_gradient_is_as_exact() -> None:
    model, x = norm(), torch.randn(5, 7, 48, dtype=torch.bfloat16) * 3
    y, gradient = answer(model, x)
    _, exact = answer(norm(torch.float64), x.double())

    assert fuse_norms(model, on=True) == 1
    fused, other = answer(model, x)

    torch.testing.assert_close(fused, y, rtol=0.01, atol=0.01)
    away = [float((one.double() - exact).norm() / exact.norm()) for one in (gradient, other)]
    assert away[1] < max(1.2 * away[0], 0.01)


def test_the_gradient_is_the_derivative() -> None:
    x, weight = torch.randn(3, 6, dtype=torch.float64), torch.rand(6, dtype=torch.float64) + 0.5

    assert torch.autograd.gradcheck(lambda x: _Norm.apply(x, weight, 1e-5), (x.requires_grad_(),))


def test_off_is_as_transformers_made_it() -> None:
    model = norm()
    fuse_norms(model, on=True)
    fuse_norms(model, on=False)

    assert "forward" not in vars(model[0])


def test_a_norm_of_another_kind_or_one_that_learns_is_left_alone() -> None:
    learning = norm().requires_grad_(True)

    assert fuse_norms(norm(kind=GemmaRMSNorm), on=True) == 0
    assert fuse_norms(learning, on=True) == 0
    assert fuse_norms(norm(torch.float32), on=True) == 0


def test_a_norm_that_adds_one_to_its_weights_is_seen_by_what_it_computes() -> None:
    class Shifted(LlamaRMSNorm):  # type: ignore[misc]  # transformers is untyped here
        def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = super().forward(hidden_states) + 1
            return found

    assert fuse_norms(norm(kind=Shifted), on=True) == 0


@pytest.mark.parametrize("dtype", [torch.float32])
def test_states_of_another_precision_are_normed_as_before(dtype: torch.dtype) -> None:
    model, x = norm(), torch.randn(2, 48, dtype=dtype)
    before = model(x)
    fuse_norms(model, on=True)

    assert torch.equal(model(x), before)
