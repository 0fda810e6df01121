"""Padding that changes a row's numbers; a part of `support.fault_table`."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from support.fault_seeds import in_first_step
from support.project import Project
from support.seeded_faults import Fault, Patch, Prepare, Seed, both, recipe


def in_front(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Pad the rows of a batch in front, and say nothing of it."""
    import torch

    changed = {**batch}
    mask = changed.pop("attention_mask")
    for name in ("input_ids", "labels"):
        changed[name] = torch.stack(
            [row.roll(int((own == 0).sum())) for row, own in zip(batch[name], mask, strict=True)]
        )
    return changed


def padded(*, trains: bool) -> Prepare:
    """Have the trainer's batches, or those of its validation loss, be padded in front; none shares a start."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.scoring.packed_cache import UnsupportedModelError
        from engine.runtime.training import sft

        def shared_batch(_: Any) -> Any:
            raise UnsupportedModelError

        real = sft.LeanTrainer.compute_loss

        def compute_loss(self: Any, model: Any, inputs: Any, **options: Any) -> Any:
            batch = in_front(inputs) if model.training is trains else inputs
            return real(self, model, batch, **options)

        patch.setattr("engine.runtime.training.batches.shared_batch", shared_batch)
        patch.setattr(sft.LeanTrainer, "compute_loss", compute_loss)

    return prepare


def in_scored_groups(change: Callable[[Any], object], code: str) -> Seed:
    """Return a seed of the groups in which rows of unequal length attend when a model is asked."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.scoring import packed_cache

        real = packed_cache._group

        def group(*given: Any) -> Any:
            found = real(*given)
            change(found)
            return found

        patch.setattr(packed_cache, "_group", group)

    return Seed(prepare=both(recipe(baselines=["majority", "zero_shot"]), prepare), code=code)


def seen(group: Any) -> None:
    """Let rows see the places that pad them."""
    hidden = (group.mask == -math.inf).all(dim=2, keepdim=True)
    group.mask.masked_fill_(hidden.expand_as(group.mask), 0.0)


def none(group: Any) -> None:
    """Have rows that are padded be no numbers."""
    hidden = (group.mask == -math.inf).all(dim=2, keepdim=True)
    group.mask.masked_fill_(hidden.expand_as(group.mask), math.nan)


OF_PADDING: Mapping[str, Fault] = {
    "F12": Fault(
        name="padding changes a row's numbers",
        seeds={
            "in training": in_first_step(padded(trains=True), "B425"),
            "in the validation loss": in_first_step(padded(trains=False), "B456"),
            "in answers: rows see what pads them": in_scored_groups(seen, "X803"),
            "in answers: padded rows are no numbers": in_scored_groups(none, "X612"),
        },
    ),
}
