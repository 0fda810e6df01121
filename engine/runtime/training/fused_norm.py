"""Root mean square norms of half-precision states in few passes, on a CPU.

Transformers computes them in 32 bits in six steps, each with a backward pass of its own. Here

    h = x / r      y = w h      dx = (g - h mean(g h)) / r,  with r = sqrt(mean(x x) + e) and g = w dy

rounded where transformers rounds, and only `h` and `r` are kept for the way back: two thirds of the time.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from engine.runtime.training.fused_lora import HALVES

FAR = 0.02
"""Relative difference from which on a norm computes something else: some add 1 to their weights, or norm them too."""


class _Norm(torch.autograd.Function):
    """x [..., size] and w [size] to y [..., size]; w learns nothing."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """Return the norm."""
        # Sums of half-precision squares are taken in 32 bits, of wider ones as they are. Autocast would have `vecdot`
        # round to half precision first.
        wide = x.float() if x.dtype in HALVES else x.clone()
        squares = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        inverse = squares.div_(x.shape[-1]).add_(epsilon).rsqrt_()
        unit = wide.mul_(inverse).to(x.dtype)
        ctx.save_for_backward(unit, weight, inverse)
        return unit * weight

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Return the gradient of x."""
        unit, weight, inverse = ctx.saved_tensors
        slope = (gradients[0] * weight).to(inverse.dtype)
        wide = unit.to(inverse.dtype)
        along = torch.linalg.vecdot(slope, wide).div_(-unit.shape[-1]).unsqueeze_(-1)
        return slope.addcmul_(wide, along).mul_(inverse).to(unit.dtype), None, None


def fuse_norms(model: torch.nn.Module, *, on: bool) -> int:
    """Let norms compute in few passes, or as transformers does again; return how many do."""
    if not on:
        for module in model.modules():
            if _is_fused(module):
                del module.forward
        return 0
    norms = [one for one in model.modules() if _is_fused(one) or _is_plain(one)]
    for module in norms:
        module.forward = partial(_forward, module)
    return len(norms)


def _is_fused(module: torch.nn.Module) -> bool:
    found = vars(module).get("forward")
    return isinstance(found, partial) and found.func is _forward


def _is_plain(module: Any) -> bool:
    """Say whether a module is a frozen norm in half precision on a CPU, by its names and by what it computes."""
    weight, epsilon = (getattr(module, name, None) for name in ("weight", "variance_epsilon"))
    if not isinstance(weight, torch.Tensor) or not isinstance(epsilon, float) or weight.ndim != 1:
        return False
    if weight.requires_grad or weight.device.type != "cpu" or weight.dtype not in HALVES:
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, len(weight), generator=generator).to(weight.dtype)
    with torch.no_grad():
        expected = type(module).forward(module, x).float()
        found = _Norm.apply(x, weight, epsilon).float()
    # Written this way round, so that NaN counts as different.
    return bool((found - expected).norm() <= FAR * expected.norm())


def _forward(module: Any, x: torch.Tensor) -> torch.Tensor:
    if x.dtype != module.weight.dtype:
        found: torch.Tensor = type(module).forward(module, x)
        return found
    return _Norm.apply(x, module.weight, module.variance_epsilon)  # type: ignore[no-any-return]
