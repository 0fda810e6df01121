"""The reference step: the rendered rows once more through the model in the plain way, compared with the trainer's.

At the first step every row of the accumulated batch passes once more, its loss is divided by the learned tokens of the
whole batch, and the gradient of each trained tensor, made shorter as the recipe says, is that of the trainer. From then
on, every few steps, the gradient of the loss by the logits is the one that the rendered labels give, two rows have the
loss that they have alone, and each tensor moves as AdamW moves it with the numbers of the plan. In fp16 and in several
processes gradients and steps are not compared.
"""

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from itertools import batched
from typing import Any, Final

import torch

from engine.runtime.models.load import in_64_bits
from engine.runtime.rendering.rendered_files import IGNORED
from engine.runtime.training.batches import Row, allowed_difference, documents_of
from engine.runtime.training.first_step import (
    FEW,
    PLAIN_ROWS,
    PLAIN_TOKENS,
    Report,
    learned_nats,
    nats_alone,
    plainly,
    token_nats,
)
from engine.runtime.training.gradients import FOR_THE_LOSS, autocast_dtype, draws

EACH: Final = 4
"""Steps of which one is compared, behind the first `FIRST`."""
FIRST: Final = 3
TIMES: Final = 8
"""Repeated passes of rows in a training: two of them cost a fortieth of a step of 16."""
SAMPLED: Final = 32
"""Numbers of each tensor that are followed, about."""
FOLLOWED: Final = 128
"""Tensors whose steps are computed at once; of more, others the next time."""
TOGETHER: Final = 512
"""Tokens of plain rows that pass at once: 16 rows of 64 take a fifth less time than each alone, and no more memory."""
FEWEST: Final = 4
"""Numbers of a tensor that a step must miss: one may be a matter of rounding."""
OFF: Final = 0.02
"""Largest relative error of a step."""
ROUNDED: Final = 1e-6
"""Largest relative error of a weight by rounding."""
EXACT: Final = 1e-3
"""Largest relative error of loss and gradients by the logits in 32 bits."""
HALF: Final = 0.02
"""The same where products are of 16 bits."""
LEAST: Final = 1e-4
"""Largest absolute error of each learned token besides: a model may be sure of all."""
OF_TENSOR: Final = 5.0
"""Factor by which the gradient of one tensor may be further off than that of all together."""
OF_DROPOUT: Final = 1.5
"""Standard deviations of what dropout draws that a gradient may be off by."""
Weight = torch.nn.Parameter
_Planned = tuple[list[tuple[str, Weight]], torch.Tensor, torch.Tensor]
"""Weights of one group with their names, some numbers of each before a step, and how far these are to move."""


class Reference:
    """Follows the steps of one process that trains by itself; `Watch` calls it around each."""

    def __init__(
        self, model: Any, args: Any, optimizer: Any, scheduler: Any, report: Report
    ) -> None:
        self._model, self._args, self._report = model, args, report
        self._weights = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
        made = getattr(optimizer, "optimizer", optimizer)
        self._adam = made if isinstance(made, torch.optim.AdamW) and not args.fp16 else None
        # Both were compared with the plan when training began (`in_force`).
        schedule = getattr(scheduler, "scheduler", scheduler)
        self._factors: Sequence[Callable[[int], float]] = (
            getattr(schedule, "lr_lambdas", None) or ()
        )
        groups = self._adam.param_groups if self._adam else ()
        self._decay = [float(group.get("weight_decay", 0.0)) for group in groups]
        self._scaler = getattr(optimizer, "scaler", None)
        self._dtype = autocast_dtype(args)
        self._looks = 0
        self._after: torch.Tensor | None = None
        self._followed: Sequence[tuple[str, Weight]] = ()
        self._planned: list[_Planned] = []
        self._batches: Sequence[Sequence[Row]] = ()
        self._is_reported = self._has_teacher = self._asks_for_few = False
        self._pass = self._step = self._total = 0
        self._nats: list[torch.Tensor] = []
        self._expected: list[torch.Tensor] = []
        self._alone: list[tuple[float, int]] = []
        self._loss = math.nan
        self._is_plain = hasattr(model, "get_output_embeddings")
        """The logits are what the last layer gives, and nothing is made of them besides."""
        if self._is_plain and (last := model.get_output_embeddings()) is not None:
            model.register_forward_pre_hook(self._begins, with_kwargs=True)
            last.register_forward_hook(self._passed)
            model.register_forward_hook(self._ended)

    # Passes.

    def before(
        self, step: int, steps: int, batches: Sequence[Sequence[Row]], holds: Container[str] = ()
    ) -> None:
        """Compute of the rows of a step's batches what it should be; `holds` are keys of the trainer's batches."""
        self._has_teacher, self._asks_for_few = FOR_THE_LOSS[0] in holds, FEW in holds
        self._batches, self._pass, self._step = (), 0, step + 1
        self._nats, self._expected, self._alone, self._loss = [], [], [], math.nan
        rows = [row for batch in batches for row in batch]
        if not rows or (step >= FIRST and step % EACH):
            return
        self._total = max(1, sum(len(learned(row)) for row in rows))
        dropout = drops_out(self._model, but_adapters=step == 0)
        is_noisy = self._args.neftune_noise_alpha or dropout
        if step == 0 and not (is_noisy or self._args.fp16 or self._has_teacher):
            self._compute(batches)
        elif not is_noisy and step % max(EACH, steps // TIMES) == 0:
            few = [row for row in batches[0][:PLAIN_ROWS] if len([*documents_of(row)]) == 1]
            if few and all(len(row["input_ids"]) <= PLAIN_TOKENS for row in few):
                with plainly(self._model, self._dtype):
                    self._alone = nats_alone(self._model, few, asks_for_few=self._asks_for_few)
        # Not earlier: these passes were not the trainer's.
        self._batches = batches

    def _compute(self, batches: Sequence[Sequence[Row]]) -> None:
        model = self._model
        with plainly(model, self._dtype):
            model.train()
            for module in filter(draws, model.modules()):
                module.eval()
            for batch in batches:
                every = [one for packed in batch for one in documents_of(packed) if learned(one)]
                longest = max((len(row["input_ids"]) for row in every), default=1)
                for rows in batched(every, max(1, TOGETHER // longest), strict=False):
                    found = learned_nats(model, rows, asks_for_few=self._asks_for_few)
                    self._alone += [(float(one.detach().sum()), len(one)) for one in found]
                    torch.autograd.backward(torch.cat(found).sum() / self._total)
            self._expected = [_of_gradient(one) for _, one in self._weights]
            grown = [one.grad for _, one in self._weights if one.grad is not None]
            length = float(torch.nn.utils.get_total_norm(grown)) if grown else 0.0
        self._loss = sum(nats for nats, _ in self._alone) / self._total
        if most := self._args.max_grad_norm:
            factor = min(1.0, most / (length + ROUNDED))
            self._expected = [one * factor for one in self._expected]

    def _begins(self, model: Any, given: Any, named: Mapping[str, Any]) -> None:
        if self._batches and model.training:
            self._named = named

    def _passed(self, module: Any, given: Any, result: Any) -> None:
        is_asked = self._is_plain and self._pass < len(self._batches)
        if not (is_asked and module.training and torch.is_grad_enabled() and result.requires_grad):
            return
        batch = self._batches[self._pass]
        self._pass += 1
        self._first = result.detach().reshape(-1)[:SAMPLED]
        places = places_of(batch, self._named, result)
        if places is None:
            self._odd("fed")
            return
        at, labels = (torch.tensor(one, device=result.device) for one in places)
        kept = result.detach().reshape(-1, result.shape[-1])[at].float()
        self._nats.append(token_nats(kept, labels))
        result.register_hook(partial(self._compare, kept, at, labels))

    def _ended(self, model: Any, given: Any, result: Any) -> None:
        logits = getattr(result, "logits", None)
        if self._batches and model.training and self._pass:
            # Some models scale them, or press them together: then gradients are others.
            same = isinstance(logits, torch.Tensor) and torch.equal(
                logits.detach().reshape(-1)[:SAMPLED].float(), self._first.float()
            )
            self._is_plain &= same

    def _compare(
        self, kept: torch.Tensor, at: torch.Tensor, labels: torch.Tensor, gradient: torch.Tensor
    ) -> None:
        """Compare the gradient by the logits with probabilities less labels, over the tokens of the whole batch."""
        if not self._is_plain or self._args.label_smoothing_factor:
            return
        scale = self._scaler.get_scale() if self._args.fp16 and self._scaler else 1.0
        whole = float(torch.linalg.vector_norm(gradient, dtype=torch.float32)) / scale
        found = gradient.reshape(-1, gradient.shape[-1])[at].float() / scale
        length = float(found.norm())
        if not math.isfinite(whole):
            return
        share = EXACT if gradient.dtype == torch.float32 and self._dtype is None else HALF
        least = LEAST * math.sqrt(len(labels)) / self._total
        if math.sqrt(max(0.0, whole**2 - length**2)) > share * whole + least:
            self._odd("fed")
        elif not self._has_teacher:
            wanted = kept.softmax(-1)
            wanted[torch.arange(len(labels), device=wanted.device), labels] -= 1
            wanted /= self._total
            size = float(wanted.norm())
            factor = float((found * wanted).sum()) / max(size**2, least**2, 1e-30)
            if float((found - factor * wanted).norm()) > share * length + least:
                self._odd("fed")
            elif abs(factor - 1) * size > share * size + least:
                self._odd("weighted", factor=factor)

    def _odd(self, event: str, **facts: Any) -> None:
        if not self._is_reported:
            self._is_reported = True
            self._report({"event": event, "step": self._step, **facts})

    def logged(self, loss: float) -> None:
        """Compare the loss that the trainer logs of a step with that of its rows."""
        count = sum(len(one) for one in self._nats)
        is_whole = self._is_plain and count == self._total
        own = float(sum(one.sum() for one in self._nats)) / count if is_whole and count else None
        computed = self._loss if own is None else own
        if self._has_teacher or self._args.label_smoothing_factor or not self._batches:
            return
        if self._args.logging_steps == 1 and (own is not None or not math.isnan(computed)):
            allowed = EXACT if self._dtype is None else HALF
            found = {"logged": str(loss), "computed": str(computed), "allowed": allowed}
            self._report({"event": "loss", "step": self._step, **found})

    # Steps.

    def before_update(self, step: int) -> None:
        """Compare what the passes have left; take what the optimizer should do."""
        if (odd := self._changed()) is not None:
            self._report({"event": "taken", "step": step, "what": "between", **odd})
        allowed = allowed_difference(self._model, self._args)
        if self._alone and self._nats:
            nats = torch.cat(self._nats)
            sizes = [count for _, count in self._alone]
            own = torch.split(nats[: sum(sizes)], sizes) if sum(sizes) <= len(nats) else ()
            pairs = zip(self._alone, own, strict=False)
            apart = (
                abs(float(one.sum()) - alone) / max(abs(alone), n) for (alone, n), one in pairs
            )
            self._apart("rows_alone", max(apart, default=0.0), allowed)
        if self._expected:
            self._compare_gradients(allowed)
        if self._adam is not None and (step < FIRST or step % EACH == 0):
            self._planned = [*self._plans(self._adam, step)]

    def _compare_gradients(self, allowed: float) -> None:
        expected, self._expected = [in_64_bits(one) for one in self._expected], []
        found = [in_64_bits(_of_gradient(one)) for _, one in self._weights]
        # What an adapter drops out is drawn in training alone.
        if dropped := drops_out(self._model):
            allowed += OF_DROPOUT * math.sqrt(dropped / (1 - min(dropped, 0.99)))
        length = float(torch.cat(expected).norm())
        apart = float((torch.cat(found) - torch.cat(expected)).norm())
        each = allowed * length / math.sqrt(len(expected))
        odd = [
            name
            for (name, _), one, other in zip(self._weights, found, expected, strict=True)
            if float((one - other).norm()) > OF_TENSOR * allowed * float(other.norm()) + each
        ]
        relative = apart / length if length else math.inf * apart if apart else 0.0
        self._apart("first_gradient", relative, allowed, names=odd[:3], count=len(odd))

    def _apart(self, event: str, difference: float, allowed: float, **facts: Any) -> None:
        # As text: JSON has no number for NaN.
        found = {"difference": str(difference), "allowed": allowed, "step": self._step}
        self._report({"event": event, **found, **facts})

    def after(self, step: int) -> None:
        """Compare what the optimizer has moved; keep what the next step begins with."""
        planned, self._planned = self._planned, []
        self._looks += 1
        self._followed = self._part()
        self._after = _flat([one.detach() for _, one in self._followed])
        if names := [name for one in planned for name in _odd(one)]:
            of = sum(len(weights) for weights, *_ in planned)
            found = {"names": names[:1], "count": len(names), "of": of}
            self._report({"event": "taken", "step": step, "what": "optimizer", **found})

    def _part(self) -> Sequence[tuple[str, Weight]]:
        apart = -(-len(self._weights) // FOLLOWED) or 1
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


def learned(row: Row) -> list[tuple[int, int]]:
    """Return the places of a row that decide a learned token, and these tokens."""
    found: list[tuple[int, int]] = []
    begin = 0
    for document in documents_of(row):
        labels = [*document["labels"]]
        # Nothing stands before the first token, so it is learned by no one.
        found += [(begin + at, one) for at, one in enumerate(labels[1:]) if one != IGNORED]
        begin += len(labels)
    return found


def places_of(
    batch: Sequence[Row], named: Mapping[str, Any], logits: torch.Tensor
) -> tuple[list[int], list[int]] | None:
    """Return where in the flat logits of a pass its rows' learned tokens are decided, and the tokens.

    None where the pass is not one of these rows.
    """
    wanted = [learned(row) for row in batch]
    labels = [label for row in wanted for _, label in row]
    ids = named.get("input_ids")
    if ids is None or FEW in named or logits.shape[:2] != ids.shape:
        # Only those that are learned, one row after another.
        return ([*range(len(labels))], labels) if logits.shape[:-1].numel() == len(labels) else None
    width = ids.shape[1]
    places: list[int] = []
    for number, (own, row, found) in enumerate(zip(ids.tolist(), batch, wanted, strict=False)):
        size = len(row["input_ids"])
        starts = (at for at in (0, width - size) if own[at : at + size] == [*row["input_ids"]])
        start = next(starts, None)
        if start is None or size > width:
            return None
        places += [number * width + start + place for place, _ in found]
    return (places, labels) if len(places) == len(labels) else None


def drops_out(model: torch.nn.Module, *, but_adapters: bool = False) -> float:
    """Return the largest share of anything that is dropped out in training.

    `but_adapters`: of anything but an adapter, as a new one adds nothing yet.
    """
    dropouts = (
        one.p
        for name, one in model.named_modules()
        if isinstance(one, torch.nn.Dropout) and not (but_adapters and "lora" in name)
    )
    config = getattr(model, "config", None)
    return max(float(getattr(config, "attention_dropout", 0.0) or 0.0), *dropouts, 0.0)


def _odd(planned: _Planned) -> list[str]:
    weights, values, step = planned
    moved = _flat([one.detach() for _, one in weights]) - values
    # Written this way round, so that NaN is none: it is reported as what it is.
    odd = (moved - step).abs() > OFF * step.abs() + ROUNDED * values.abs()
    sizes = [len(_some(one)) for _, one in weights]
    counts = torch.stack([part.sum() for part in torch.split(odd, sizes)]).tolist()
    found = zip(weights, counts, sizes, strict=True)
    return [name for (name, _), count, size in found if count >= min(FEWEST, size)]


def _of_gradient(weight: Weight) -> torch.Tensor:
    found = torch.zeros_like(weight) if weight.grad is None else weight.grad
    return _some(found.detach()).clone()


def _flat(tensors: Sequence[Any]) -> torch.Tensor:
    return torch.cat([_some(one) for one in tensors])


def _some(tensor: Any) -> torch.Tensor:
    found: torch.Tensor = tensor.reshape(-1)[:: max(1, tensor.numel() // SAMPLED)]
    return found
