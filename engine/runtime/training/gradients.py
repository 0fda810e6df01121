"""Whether a model's gradients are the same after it has been evaluated, asked before anything is trained.

bitsandbytes 0.50.2 repacks 4-bit weights in place on CPUs with AVX512-BF16 when it first runs without gradients
(`Linear4bit.forward`); the backward pass then reads them in the old order, and the gradients are wrong while
every loss looks healthy. `keep_unpacked` prevents that, `agreement` proves it on a few tokens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

TOKENS = 64
"""Of one row, from its end."""


def keep_unpacked(model: torch.nn.Module) -> None:
    """Keep bitsandbytes from repacking 4-bit weights for inference, which it would do when training evaluates."""
    layers: Iterator[Any] = model.modules()
    for layer in layers:
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def has_4bit_weights(model: torch.nn.Module) -> bool:
    """Return whether any weight is one of bitsandbytes' 4-bit ones."""
    return any(getattr(weight, "quant_state", None) is not None for weight in model.parameters())


def agreement(
    model: torch.nn.Module,
    rows: Any,
    *,
    autocast: torch.dtype | None = None,
) -> float | None:
    """Return the cosine of the gradients of one row before and after an evaluation of that row.

    `rows[0]` has `input_ids`. None without 4-bit weights, and where gradients are not finite from the start.
    Weights, gradients, random states and modes are left as they were.
    """
    if not has_4bit_weights(model):
        return None
    device = next(model.parameters()).device
    ids = torch.tensor([list(rows[0]["input_ids"])[-TOKENS:]], device=device)
    # Every token counts as learned: which loss it is does not matter, only that it is the same twice.
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    casting = torch.autocast(device.type, dtype=autocast, enabled=autocast is not None)
    with _undisturbed(model), casting:
        before = _gradients(model, given)
        model.eval()
        with torch.no_grad():
            model(**given)
        after = _gradients(model, given)
    # Broken from the start: the first loss says so with a better hint (B414).
    if not bool(torch.isfinite(before).all()):
        return None
    if torch.equal(before, after):
        return 1.0
    return float(torch.nn.functional.cosine_similarity(before, after, dim=0))


def _gradients(model: torch.nn.Module, given: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the gradients of all trained weights in one row, of the same dropout each time."""
    torch.manual_seed(0)
    model.train()
    model.zero_grad()
    model(**given).loss.backward()
    found = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return torch.cat([gradient.detach().flatten().double() for gradient in found])


@contextlib.contextmanager
def _undisturbed(model: torch.nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.random.fork_rng():
            yield
    finally:
        model.zero_grad()
        for module, training in modes:
            module.training = training
