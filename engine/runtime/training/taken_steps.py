"""Whether each step is the one that gradients, momenta and schedule give, and nothing else changes weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import torch

from engine.runtime.models.load import in_64_bits

SAMPLED: Final = 32
"""Numbers of each tensor that are followed, about."""
FIRST: Final = 3
"""Steps that are computed again; of the later ones every `EACH`th."""
EACH: Final = 4
MOST: Final = 128
"""Tensors that are looked at at once; of more, others the next time."""
HOOKED: Final = 4
"""Tensors whose gradients are added up as each pass computes them."""
FEWEST: Final = 4
"""Numbers of a tensor that must be off: one may be a matter of rounding."""
OFF: Final = 0.02
"""Of a step, by which it may be off."""
ROUNDED: Final = 1e-6
"""Of a weight, by which rounding may move it."""
SAME: Final = 1e-3
"""By which gradients that were made shorter may differ besides, as a share."""
NORM: Final = 0.02
"""By which the length of clipped gradients may miss the recipe's, as a share."""
Weight = torch.nn.Parameter
_Planned = tuple[list[tuple[str, Weight]], torch.Tensor, torch.Tensor]
"""Weights of one group with their names, some numbers of each before a step, and how far these are to move."""


class TakenSteps:
    """Follows the steps of one process that trains by itself; `Watch` calls it around each."""

    def __init__(self, model: torch.nn.Module, args: Any, optimizer: Any, scheduler: Any) -> None:
        self._args = args
        self._weights = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
        self._looks = 0
        made = getattr(optimizer, "optimizer", optimizer)
        self._adam = made if isinstance(made, torch.optim.AdamW) else None
        schedule = getattr(scheduler, "scheduler", scheduler)
        self._factors: Sequence[Callable[[int], float]] = (
            getattr(schedule, "lr_lambdas", None) or ()
        )
        groups = self._adam.param_groups if self._adam else ()
        self._decay = [float(group.get("weight_decay", 0.0)) for group in groups]
        self._after: torch.Tensor | None = None
        self._followed: Sequence[tuple[str, Weight]] = ()
        self._planned: list[_Planned] = []
        self._raw: dict[int, torch.Tensor] = {}
        places = range(0, len(self._weights), max(1, len(self._weights) // HOOKED))
        for at in places[:HOOKED]:
            weight: Any = self._weights[at][1]
            weight.register_hook(partial(self._computed, id(weight)))

    def begin(self) -> None:
        self._raw.clear()

    def before(self, step: int) -> dict[str, Any] | None:
        """Return what changed since the last step, or what clipping has done; take what this one should do."""
        if (odd := self._changed()) is not None:
            return {"what": "between", **odd}
        if step >= FIRST and step % EACH:
            return None
        if how := self._clipped():
            return {"what": "clipping", "names": [how]}
        # A step whose gradients overflow in fp16 is passed over by the optimizer.
        if self._adam is not None and not self._args.fp16:
            self._planned = [*self._plans(self._adam, step)]
        return None

    def after(self) -> dict[str, Any] | None:
        """Return the tensors that the optimizer has moved otherwise; keep what the next step begins with."""
        planned, self._planned = self._planned, []
        self._looks += 1
        self._followed = self._part()
        self._after = _flat([one.detach() for _, one in self._followed])
        names = [name for one in planned for name in _odd(one)]
        if not names:
            return None
        of = sum(len(weights) for weights, *_ in planned)
        return {"what": "optimizer", "names": names[:1], "count": len(names), "of": of}

    def _part(self) -> Sequence[tuple[str, Weight]]:
        apart = -(-len(self._weights) // MOST) or 1
        return self._weights[self._looks % apart :: apart]

    def _changed(self) -> dict[str, Any] | None:
        if self._after is None or not self._followed:
            return None
        now = _flat([one.detach() for _, one in self._followed])
        if torch.equal(now, self._after):
            return None
        # NaN is no change: it is reported as what it is.
        sizes = [len(_some(one)) for _, one in self._followed]
        differ = torch.nan_to_num(now) != torch.nan_to_num(self._after)
        parts = zip(torch.split(differ, sizes), self._followed, strict=True)
        names = [name for part, (name, _) in parts if bool(part.any())]
        return {"names": names[:1], "count": len(names), "of": len(sizes)} if names else None

    def _computed(self, weight: int, gradient: torch.Tensor) -> None:
        found, known = _some(gradient.detach()), self._raw.get(weight)
        # Added as torch itself does, so that rounding is the same.
        self._raw[weight] = found.clone() if known is None else known + found

    def _clipped(self) -> str:
        """Return how gradients are not the computed ones, but for their length; "" for the same."""
        grown = [
            (self._raw[id(one)], _some(one.grad))
            for _, one in self._weights
            if id(one) in self._raw and one.grad is not None
        ]
        if not grown or self._args.fp16 or self._args.world_size > 1:
            return ""
        before, after = (in_64_bits(torch.cat([*parts])) for parts in zip(*grown, strict=True))
        length = float(before.norm())
        if not length or not math.isfinite(float(before.sum() + after.sum())):
            return ""
        factor = float(before @ after) / length**2
        if float((after - factor * before).norm()) > SAME * length * max(abs(factor), SAME):
            return "other ones"
        most = self._args.max_grad_norm or 0.0
        if abs(factor - 1) <= SAME:
            return ""
        gradients = [one.grad for _, one in self._weights if one.grad is not None]
        found = float(torch.nn.utils.get_total_norm(gradients))
        if 0 < factor < 1 and most and abs(found - most) <= NORM * most:
            return ""
        return f"{factor:.3g} times the computed ones"

    def _plans(self, optimizer: torch.optim.AdamW, step: int) -> Iterator[_Planned]:
        args, names = self._args, {id(one): name for name, one in self._part()}
        first, second = args.adam_beta1, args.adam_beta2
        for number, (group, decay) in enumerate(
            zip(optimizer.param_groups, self._decay, strict=True)
        ):
            weights = [
                one
                for one in group["params"]
                if one.grad is not None and one.dtype == torch.float32 and id(one) in names
            ]
            if not weights:
                continue
            rate = float(group["lr"])
            if number < len(self._factors):
                rate = float(group.get("initial_lr", rate)) * self._factors[number](step)
            states = [optimizer.state.get(one, {}) for one in weights]
            # Of a weight that gets its first gradient later than others it is its own count.
            taken = [float(state.get("step", 0.0)) + 1 for state in states]
            gradient, values = _flat([one.grad for one in weights]), _flat(weights).detach()
            pairs = [*zip(states, weights, strict=True)]
            # Momenta are 0 before the first step.
            mean, square = (
                _flat(
                    [state[key] if key in state else torch.zeros_like(one) for state, one in pairs]
                )
                for key in ("exp_avg", "exp_avg_sq")
            )
            device = weights[0].device
            sizes = torch.tensor([len(_some(one)) for one in weights], device=device)
            # An Apple GPU has none wider than 32 bits.
            wide = torch.float32 if device.type == "mps" else torch.float64
            counts = torch.tensor(taken, device=device, dtype=wide).repeat_interleave(sizes)
            mean = first * mean + (1 - first) * gradient
            square = second * square + (1 - second) * gradient**2
            sized = (square / (1 - second**counts)).sqrt() + args.adam_epsilon
            move = -rate * (mean / (1 - first**counts) / sized + decay * values)
            yield [(names[id(one)], one) for one in weights], values, move


def _odd(planned: _Planned) -> list[str]:
    weights, values, step = planned
    moved = _flat([one.detach() for _, one in weights]) - values
    # Written this way round, so that NaN is none: it is reported as what it is.
    odd = (moved - step).abs() > OFF * step.abs() + ROUNDED * values.abs()
    sizes = [len(_some(one)) for _, one in weights]
    counts = torch.stack([part.sum() for part in torch.split(odd, sizes)]).tolist()
    found = zip(weights, counts, sizes, strict=True)
    return [name for (name, _), count, size in found if count >= min(FEWEST, size)]


def _flat(tensors: Sequence[Any]) -> torch.Tensor:
    return torch.cat([_some(one) for one in tensors])


def _some(tensor: Any) -> torch.Tensor:
    found: torch.Tensor = tensor.reshape(-1)[:: max(1, tensor.numel() // SAMPLED)]
    return found
