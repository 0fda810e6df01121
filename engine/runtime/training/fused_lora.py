"""The product of a layer with its adapter as one function, on a CPU in half precision.

PEFT casts a layer's input to the adapter's 32 bits, autocast casts it back, and product, scaling and sum are steps of
their own, each rounded and each with its own backward pass: a sixth to a half more than the layer alone. Here

    y = x W' + s (x A') B'      dx = dy W + s du A,  dA = s du' x,  dB = s dy' u,  with u = x A' and du = dy B

without a cast of anything but A and B, and the sums are taken within the products.
"""

from functools import partial
from typing import Any

import torch
from peft.tuners.lora.layer import Linear

HALVES = (torch.bfloat16, torch.float16)


class _Product(torch.autograd.Function):
    """x [n, in], W [out, in], A [rank, in], B [out, rank] to y [n, out]; W learns nothing."""

    @staticmethod
    def forward(  # noqa: PLR0913, RUF100 - the terms of the product
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        down, up = a.to(x.dtype), b.to(x.dtype)
        low = x @ down.t()
        ctx.save_for_backward(x, weight, down, up, low)
        ctx.scale, ctx.dtype = scale, a.dtype
        return (x @ weight.t()).addmm_(low, up.t(), alpha=scale)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (dy,) = gradients
        x, weight, down, up, low = ctx.saved_tensors
        dlow = dy @ up
        # The first layer's input learns nothing.
        is_asked = ctx.needs_input_grad[0]
        dx = (dy @ weight).addmm_(dlow, down, alpha=ctx.scale) if is_asked else None
        # Laid out as A and B are, or autograd copies them once more.
        da, db = (dlow.t() @ x).to(ctx.dtype), (dy.t() @ low).to(ctx.dtype)
        return dx, None, da.mul_(ctx.scale), db.mul_(ctx.scale), None


def fuse(model: torch.nn.Module, *, on: bool) -> int:
    """Let layers compute their product with the adapter in one, or as PEFT does again; return how many do."""
    layers = [one for one in model.modules() if type(one) is Linear and _is_plain(one)]
    for layer in layers:
        if on:
            layer.forward = partial(_forward, layer)
        else:
            vars(layer).pop("forward", None)
    return len(layers) if on else 0


def _is_plain(layer: Any) -> bool:
    weight: Any = getattr(layer.base_layer, "weight", None)
    adapters = list(layer.active_adapters)
    return (
        type(layer.base_layer) is torch.nn.Linear
        and weight.dtype in HALVES
        and weight.device.type == "cpu"
        and not weight.requires_grad
        and len(adapters) == 1
        and adapters[0] in layer.lora_A
        and not layer.lora_variant
        and not layer.lora_bias[adapters[0]]
        and isinstance(layer.lora_dropout[adapters[0]], torch.nn.Identity)
    )


def _forward(layer: Any, x: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
    base = layer.base_layer
    weight = base.weight
    # Who looks at the layer's own product, as the first step's measurement does, gets it.
    is_watched = bool(base._forward_hooks or base._forward_pre_hooks)  # noqa: SLF001 - torch has no getter
    is_other = layer.merged or layer.disable_adapters or x.dtype != weight.dtype
    if given or named or is_watched or is_other:
        found: torch.Tensor = type(layer).forward(layer, x, *given, **named)
        return found
    (name,) = layer.active_adapters
    y: torch.Tensor = _Product.apply(
        x.flatten(0, -2),
        weight,
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        layer.scaling[name],
    )
    y = y.view(*x.shape[:-1], -1)
    return y if base.bias is None else y + base.bias
