"""Parts of a model that are trained, and their gradients compared before training: after an evaluation, in two forms.

bitsandbytes 0.50.2 repacks 4-bit weights in place on CPUs with AVX512-BF16 when it first runs without gradients
(`Linear4bit.forward`); the backward pass then reads them in the old order, and the gradients are wrong while
every loss looks healthy. `keep_unpacked` prevents that, `agreement` proves it on a few tokens.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, TrainingArguments

from engine.errors import StageError
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


class OneDevice:
    """Put before a class of training arguments."""

    @property
    def n_gpu(self) -> int:
        arguments: Any = super()
        return min(1, int(arguments.n_gpu))


def whole_on_gpu(places: Any) -> Any:
    """Return where weights are put: all on the GPU where `auto` would divide them, which is slow beyond use."""
    if places == "auto" and torch.cuda.is_available():
        return {"": torch.cuda.current_device()}
    return places


EMBEDDINGS = "embeddings"
LAYER = "layers."


def counted(numbers: Sequence[int], layers: int) -> list[int]:
    """Return the numbers of layers counted from the start. StageError X730 for one that is not there."""
    for number in numbers:
        if not -layers <= number < layers:
            raise StageError.one(
                "X730",
                f"the base model has {layers} layers, and layer {number} is asked for",
                path="method",
                hint=f"name layers from 0 to {layers - 1}, or last_{layers} at most",
            )
    return [number % layers for number in numbers]


def layer_count(config: Any) -> int:
    """Return how many layers a model's config has; of one that reads images too, those of its decoder."""
    return int(config.get_text_config().num_hidden_layers)


def linear_names(config: Any) -> list[str]:
    """Return the names that linear layers have within their blocks, without the output layer: PEFT's `all-linear`."""
    # On `meta`: the names of the modules are wanted, and no memory for their weights.
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    output = model.get_output_embeddings()
    found = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not output
    }
    return sorted(found)


def parameters_of(model: Any, parts: Sequence[str]) -> list[str]:
    """Return the names of a model's parameters in `parts`: `layers.3`, `layers.-1`, `embeddings`."""
    numbers = [int(part.removeprefix(LAYER)) for part in parts if part.startswith(LAYER)]
    count = layer_count(model.config)
    lists: Iterator[nn.ModuleList] = (
        module
        for module in model.modules()
        if isinstance(module, nn.ModuleList) and len(module) == count
    )
    found = next(lists, None)
    if found is None:
        raise StageError.one(
            "X730",
            f"the {count} layers that the base model's config speaks of are not found in it",
            path="method",
            hint="train all weights, or give all layers an adapter",
        )
    blocks = found
    chosen: list[nn.Module] = [blocks[number] for number in counted(numbers, len(blocks))]
    if EMBEDDINGS in parts:
        chosen += [model.get_input_embeddings(), model.get_output_embeddings()]
    wanted = {id(weight) for module in chosen for weight in module.parameters()}
    return [name for name, weight in model.named_parameters() if id(weight) in wanted]


def freeze_but(model: nn.Module, parts: Sequence[str]) -> None:
    kept = set(parameters_of(model, parts))
    for name, weight in model.named_parameters():
        weight.requires_grad = name in kept


def keep_full_precision(model: nn.Module) -> None:
    """Keep the weights that are trained in 32 bits, before there is an optimizer.

    TRL 1.14 makes adapters on 4-bit weights bfloat16, where steps below a 256th of a weight are lost, and PEFT makes
    them 32-bit again where a training goes on from a checkpoint: it would end in other weights.
    """
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
