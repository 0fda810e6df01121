"""Gradients compared before anything is trained: after an evaluation, and between two forms of the same batch.

bitsandbytes 0.50.2 repacks 4-bit weights in place on CPUs with AVX512-BF16 when it first runs without gradients
(`Linear4bit.forward`); the backward pass then reads them in the old order, and the gradients are wrong while
every loss looks healthy. `keep_unpacked` prevents that, `agreement` proves it on a few tokens.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from transformers import TrainingArguments

from engine.runtime.models.load import in_64_bits
from engine.values import Value

Batch = Mapping[str, Any]
Collator = Callable[[Sequence[Mapping[str, Any]]], Batch]

FOR_THE_LOSS = ("target_tokens", "target_log_probabilities")
"""Keys of a batch that the loss reads and not the model (`engine.runtime.training.soft_targets`)."""
TOKENS = 64
IDS = ("input_ids", "prompt_ids", "prompt_input_ids")
"""Columns of a row's tokens: those of answers, of DPO, IPO and KTO, and of ORPO and SimPO."""


class Gradients(Value):
    """Loss of one batch, and the gradient of each trained weight."""

    loss: float
    tensors: list[torch.Tensor]


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
    model: torch.nn.Module, rows: Any, collate: Collator, *, autocast: torch.dtype | None = None
) -> float | None:
    """Return the cosine of the gradients of one row before and after an evaluation of that row.

    `rows[0]` is made a batch by `collate`, as the trainer does. None without 4-bit weights, and where gradients are
    not finite from the start. Weights, gradients, random states and modes are left as they were.
    """
    if not has_4bit_weights(model):
        return None
    # Every token counts as learned: which loss it is does not matter, only that it is the same twice.
    ids = next(list(row[name]) for row in rows for name in IDS if row.get(name))[-TOKENS:]
    whole = [{"input_ids": ids, "labels": ids}]
    # Trainers on preferences have batches of another form.
    plain = {name: torch.tensor([ids]) for name in ("input_ids", "labels")}
    made = collate(whole) if "labels" in rows[0] else plain
    batch = on_device(model, {key: made[key] for key in made if key not in FOR_THE_LOSS})
    with undisturbed(model), casting(model, autocast):
        before = gradients_of(model, batch).tensors
        model.eval()
        with torch.no_grad():
            model(**batch)
        after = gradients_of(model, batch).tensors
    # Broken from the start: the first loss says so with a better hint (B414).
    if not all(bool(torch.isfinite(gradient).all()) for gradient in before):
        return None
    if all(map(torch.equal, before, after)):
        return 1.0
    norms = math.sqrt(_dot(before, before) * _dot(after, after))
    return _dot(before, after) / norms if norms else math.nan


def difference(one: Gradients, other: Gradients) -> float:
    """Return how far two losses or their gradients lie apart, relative to those of `one`: the larger of both.

    Infinite where only one of them is 0, NaN where a number is not finite.
    """
    pairs = zip(one.tensors, other.tensors, strict=True)
    squares = (float((in_64_bits(a) - in_64_bits(b)).square().sum()) for a, b in pairs)
    norm = math.sqrt(_dot(one.tensors, one.tensors))
    found = (
        _relative(math.sqrt(sum(squares)), norm),
        _relative(abs(one.loss - other.loss), abs(one.loss)),
    )
    return math.nan if any(map(math.isnan, found)) else max(found)


def gradients_of(model: torch.nn.Module, batch: Batch, *, is_exact: bool = False) -> Gradients:
    """Return the loss of a batch and the gradients of all trained weights, of the same dropout each time.

    With `is_exact` nothing is drawn: batches of other shapes would draw other numbers.
    """
    torch.manual_seed(0)
    model.train()
    for module in filter(draws, model.modules()) if is_exact else ():
        module.eval()
    model.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    tensors = [weight.grad for weight in model.parameters() if weight.grad is not None]
    model.zero_grad()
    return Gradients(loss=float(loss.detach()), tensors=tensors)


def draws(module: torch.nn.Module) -> bool:
    names = ("attention_dropout", "neftune_noise_alpha")
    return isinstance(module, torch.nn.Dropout) or any(getattr(module, name, 0) for name in names)


def on_device(model: torch.nn.Module, batch: Batch) -> dict[str, Any]:
    device = next(model.parameters()).device
    return {
        name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()
    }


def casting(model: torch.nn.Module, dtype: torch.dtype | None) -> torch.autocast:
    """Return the cast of products that a trainer works under; None casts nothing."""
    kind = next(model.parameters()).device.type
    return torch.autocast(kind, dtype=dtype, enabled=dtype is not None)


def autocast_dtype(args: TrainingArguments) -> torch.dtype | None:
    """Return what the trainer casts products to; None where it casts nothing."""
    if args.bf16:
        return torch.bfloat16
    return torch.float16 if args.fp16 else None


@contextlib.contextmanager
def undisturbed(model: torch.nn.Module) -> Iterator[None]:
    """Leave weights' gradients, the modes of modules and random states as they were."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.random.fork_rng():
            yield
    finally:
        model.zero_grad()
        for module, training in modes:
            module.training = training


def _dot(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    pairs = zip(one, other, strict=True)
    return sum(float((in_64_bits(a) * in_64_bits(b)).sum()) for a, b in pairs)


def _relative(apart: float, size: float) -> float:
    if size:
        return apart / size
    return 0.0 if apart == 0 else math.inf
