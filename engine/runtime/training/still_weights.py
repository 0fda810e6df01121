"""Whether weights that get gradients move: an optimizer may hold a rate of its own, or other weights."""

from __future__ import annotations

from typing import Any, Final

import torch

STEP: Final = 2
"""Steps taken before the one that is looked at: rates that rise begin at 0, and what the second half of a new adapter's
pair multiplies is 0 until then, so that the first gets no gradient."""
SAMPLED: Final = 64
"""Numbers of each tensor that are looked at, about."""
FEWEST: Final = 4
"""Of them that must have a gradient by which Adam takes a whole step."""
LEAST: Final = 1e-5
"""Of a weight, below which a step may be lost in 32 bits."""


class StillWeights:
    """Takes some numbers of each trained tensor before a step, and looks at them after it."""

    def __init__(self) -> None:
        """Look at nothing yet."""
        self._before: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def before(self, model: torch.nn.Module, args: Any, steps: int) -> None:
        """Take numbers that the next step of the optimizer has to change."""
        rate = args.learning_rate / max(args.get_warmup_steps(steps), 1)
        for name, weight in model.named_parameters():
            if weight.grad is None or weight.dtype != torch.float32:
                continue
            values, gradients = _some(weight.detach()), _some(weight.grad)
            # Adam divides what is smaller by its epsilon, not by itself: biases of keys get rounding alone.
            moving = (gradients.abs() > args.adam_epsilon) & (values.abs() * LEAST < rate)
            self._before[name] = (values.clone(), moving)

    def after(self, model: torch.nn.Module) -> dict[str, Any] | None:
        """Return the tensors that stand still; None where none was taken before."""
        before, self._before = self._before, {}
        if not before:
            return None
        weights = dict(model.named_parameters())
        # Together: on a GPU each look by itself would wait for all that was asked before.
        found = torch.stack(
            [
                (moving.sum() >= FEWEST)
                & ~((_some(weights[name].detach()) != values) & moving).any()
                for name, (values, moving) in before.items()
            ]
        ).tolist()
        names = [name for name, is_still in zip(before, found, strict=True) if is_still]
        return {"names": names[:1], "count": len(names), "of": len(before)}


def _some(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1)[:: max(1, tensor.numel() // SAMPLED)]
