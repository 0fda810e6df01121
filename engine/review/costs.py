"""What the change does to what a training takes: parameters, steps, memory, time and cost.

Both versions are estimated as `recipe plan` does (`engine.estimate`): by what is already on this machine.
Costs that are not known are listed as such, with what would make them known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from engine.environment import Device
from engine.estimate import TrainingEstimate, estimate_training
from engine.estimate.prices import Price, price_of
from engine.evidence.review import Cost
from engine.recipe.sweeps import methods_of
from engine.render.number_format import about, count, millions, size
from engine.review.compare import Versions
from engine.review.reruns import start_identity
from engine.review.version import Side
from engine.store import Store
from engine.values.numbers import MINUS, decimal

UNKNOWN: Final = "not known"
_OF_TRAINING: Final = (
    *("method.kind", "method.rank", "method.target_modules", "method.batch_size", "method.epochs"),
    *("method.dora", "method.layers", "method.loss_on", "method.tokens", "method.packing"),
    *("method.train_only.layers", "method.train_only.embeddings"),
    *("method.min_steps", "method.max_steps"),
    *("method.micro_batch_size", "method.max_length", "method.gradient_checkpointing"),
    *("method.evaluations_per_epoch", "method.early_stopping.patience", "method.seeds"),
    *("backend.name", "backend.precision", "base_model.hub", "base_model.path"),
    *("base_model.package", "base_model.file", "base_model.revision", "splits.train"),
    *(
        "splits.validation",
        "splits.folds",
        "learning_curve",
        "task.instruction",
        "task.input",
        "sweep",
    ),
)
"""Keys that change what a training takes."""
_RANKS: Final = "method.ranks."
"""Before the name of a module with a rank of its own."""


def costs(versions: Versions, store: Store, device: Device) -> tuple[Cost, ...]:
    """Return what the change does to what a training takes; empty where it changes no training."""
    paths = [one.path for one in versions.differing]
    if not any(path in _OF_TRAINING or path.startswith(_RANKS) for path in paths):
        return ()
    old, new = (_estimate(side, store, device) for side in (versions.old, versions.new))
    return (
        *_trainings(versions),
        *_numbers(old, new, device),
        *_money(old, new, price_of(device, None)),
    )


def _trainings(versions: Versions) -> Iterator[Cost]:
    """How many models the sweeps train; the other numbers are of one training by `method`."""
    old, new = (len(methods_of(side.recipe)) for side in (versions.old, versions.new))
    if old != new:
        more = decimal(new - old, 0, signed=True)
        says = f"{more}: every setting of `sweep` is one; the other numbers are of one by `method`"
        yield Cost(name="trainings", before=count(old), after=count(new), says=says)


def _estimate(side: Side, store: Store, device: Device) -> TrainingEstimate:
    identity = start_identity(side.recipe.base_model, side)
    return estimate_training(side.recipe, store, device, base_model=identity, data=None)


def _numbers(old: TrainingEstimate, new: TrainingEstimate, device: Device) -> Iterator[Cost]:
    why = "; ".join(dict.fromkeys((*old.unknown, *new.unknown)))
    basis = " and ".join(dict.fromkeys((old.basis, new.basis)))
    parts: tuple[tuple[str, float | None, float | None, Callable[[int], str], str], ...] = (
        ("trainable parameters", old.trainable_parameters, new.trainable_parameters, millions, ""),
        ("steps", old.steps, new.steps, count, ""),
        ("memory", old.memory_bytes, new.memory_bytes, size, "estimated"),
        ("time", old.seconds, new.seconds, about, "estimated"),
    )
    for name, before, after, words, how in parts:
        if before is None or after is None:
            yield Cost(name=name, before="", after="", says=f"{UNKNOWN}: {why or 'as the rows'}")
        elif before != after:
            by = f", {how} for this {device.kind} ({basis})" if how else ""
            shown, sign = (words(int(before)), words(int(after))), "+" if after >= before else MINUS
            says = f"{sign}{words(abs(int(after - before)))}{by}"
            yield Cost(name=name, before=shown[0], after=shown[1], says=says)


def _money(old: TrainingEstimate, new: TrainingEstimate, price: Price | None) -> Iterator[Cost]:
    """What the difference in time costs, at the user's own price."""
    if old.seconds is None or new.seconds is None:
        return
    if price is None:
        why = "no price of this device is set (slm-recipe/prices.yaml in your config folder)"
        yield Cost(name="cost", before="", after="", says=f"{UNKNOWN}: {why}")
        return
    before, after = price.of(old.seconds), price.of(new.seconds)
    currency = f" {price.currency}" if price.currency else ""
    shown = [f"{value:.2f}{currency}" for value in (before, after)]
    says = (
        f"{decimal(after - before, 2, signed=True)}{currency} for the training, by {price.source}"
    )
    yield Cost(name="cost", before=shown[0], after=shown[1], says=says)
