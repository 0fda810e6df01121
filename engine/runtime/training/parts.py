"""Parts of a model by number: which layers get an adapter, and what full training moves."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM

from engine.errors import StageError


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
