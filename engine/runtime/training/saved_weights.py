"""Whether a checkpoint holds the weights that were trained, as they are in memory when it is saved.

What follows a training reads checkpoints and nothing else: weights that are written rounded, scaled or of an earlier
moment would be asked, merged and exported, and only a lower score would show it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open

ADAPTER: Final = "adapter_model.safetensors"
WHOLE: Final = "model*.safetensors"
ROWS: Final = 16
"""Of a large tensor, at its beginning and at its end."""
LARGE: Final = 1 << 20
"""Numbers of a tensor from which it is compared in part: adapters have fewer, whole models would be read once more."""
OF_ADAPTER: Final = ".default"
"""In the names of an adapter's tensors in memory; PEFT leaves it out where it saves them."""
MAGNITUDE: Final = "lora_magnitude_vector"
"""Of DoRA; PEFT leaves out what follows it."""


def saved_otherwise(checkpoint: Path, model: torch.nn.Module) -> dict[str, Any] | None:
    """Return the trained tensors that a checkpoint has with other numbers, or an adapter not at all; None for none."""
    adapter = checkpoint / ADAPTER
    files = [adapter] if adapter.is_file() else sorted(checkpoint.glob(WHOLE))
    trained = {
        _saved_name(name): weight
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }
    odd, seen = list[str](), set[str]()
    for file in files:
        with safe_open(file, framework="pt") as source:
            for name in trained.keys() & source.keys():
                seen.add(name)
                if not _is_same(source.get_slice(name), trained[name].detach()):
                    odd.append(name)
    if files == [adapter]:
        odd += [name for name in trained if ".lora_" in name and name not in seen]
    return {"names": sorted(odd)[:1], "count": len(odd), "of": len(trained)} if odd else None


def _saved_name(name: str) -> str:
    if MAGNITUDE in name:
        return name.partition(MAGNITUDE)[0] + MAGNITUDE
    return name.replace(OF_ADAPTER, "") if ".lora_" in name else name


def _is_same(source: Any, weight: torch.Tensor) -> bool:
    """Tell whether a tensor of a file has the numbers of one in memory; NaN is the same as NaN."""
    if tuple(source.get_shape()) != tuple(weight.shape):
        return False
    whole = weight.numel() < LARGE
    parts = (slice(None),) if whole else (slice(None, ROWS), slice(-ROWS, None))
    return all(_equal(source[part], weight[part].cpu()) for part in parts)


def _equal(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one.dtype != two.dtype:
        return False
    return torch.equal(one, two) or torch.equal(torch.nan_to_num(one), torch.nan_to_num(two))
