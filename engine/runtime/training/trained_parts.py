"""Which trained parts of a model get no gradient: pairs of an adapter, or matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import torch

PAIR: Final = (".lora_A.", ".lora_B.", ".lora_magnitude_vector.")
MATRIX: Final = 2
FIRST_NUMBERS: Final = 64
"""Of a gradient."""


class TrainedParts:
    """The parts that are trained when training begins; their gradients are looked at in each step."""

    def __init__(self, model: torch.nn.Module) -> None:
        """List them once: to walk through a model takes as long as to look at all its gradients."""
        self._parts: dict[str, list[torch.nn.Parameter]] = {}
        for name, weight in model.named_parameters():
            # Experts may be asked nothing.
            if not weight.requires_grad or "expert" in name:
                continue
            mark = next((one for one in PAIR if one in name), "")
            if mark or weight.ndim >= MATRIX:
                stem = name.partition(mark)[0] if mark else name
                self._parts.setdefault(stem.removeprefix("base_model.model."), []).append(weight)

    def still(self) -> dict[str, Any]:
        """Return the parts that get no gradient."""
        names = [*self._parts]
        # All of a gradient, or those of a whole pair, are only looked at where a few numbers are zeros.
        for last, most in ((1, FIRST_NUMBERS), (0, FIRST_NUMBERS), (0, None)):
            gradients = {
                name: [one.grad for one in self._parts[name][-last:] if one.grad is not None]
                for name in names
            }
            moving = _moving(gradients, most)
            names = [name for name in names if name not in moving]
            if not names:
                break
        return {"names": names[:3], "count": len(names), "of": len(self._parts)}


def _moving(parts: Mapping[str, Sequence[torch.Tensor]], most: int | None) -> AbstractSet[str]:
    """Return the parts that have a number other than 0 among the first ones of a gradient, or anywhere for None."""
    alike: dict[tuple[int, torch.device, torch.dtype], list[tuple[str, torch.Tensor]]] = {}
    for stem, gradients in parts.items():
        for gradient in gradients:
            # Whole gradients are not laid beside each other: that would hold all of them twice.
            numbers = gradient.any()[None] if most is None else gradient.reshape(-1)[:most]
            kind = (len(numbers), numbers.device, numbers.dtype)
            alike.setdefault(kind, []).append((stem, numbers))
    moving = set[str]()
    # Together: on a GPU each look by itself would wait for all that was asked before.
    for found in alike.values():
        moved = torch.stack([numbers for _, numbers in found]).any(1).tolist()
        moving |= {stem for (stem, _), moves in zip(found, moved, strict=True) if moves}
    return moving
