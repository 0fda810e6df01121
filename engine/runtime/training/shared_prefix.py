"""Training on batches that share their rows' common start, after they were checked against plain ones.

Set up on a backend's trainer before it trains. When training begins, the loss and the gradients of a few rows are
computed both ways; where they differ, or the model cannot take such batches, training goes on in the plain way and
says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from engine.errors import first_line
from engine.runtime.models.load import attention_of
from engine.runtime.scoring.packed_cache import UnsupportedModelError
from engine.runtime.training.fused_lora import fuse
from engine.runtime.training.fused_norm import fuse_norms
from engine.runtime.training.gradients import (
    Batch,
    autocast_dtype,
    casting,
    difference,
    gradients_of,
    on_device,
    undisturbed,
)
from engine.runtime.training.prefix_attention import NAME
from engine.runtime.training.prefix_batch import Row, shared_batch

FIRST_ROWS = 64
"""Rows of which two are computed both ways."""
LARGEST_DIFFERENCE = 1e-3
"""Of loss and gradients in 32 bits, relative to the plain ones; 2e-6 was measured of a model of 135 M parameters."""
LARGEST_ROUNDED = 0.2
"""The same where products are of 16 bits: 0.03 was measured of that model, whose plain gradients lie 0.04 from those
in 32 bits; rows that see each other gave 0.4 to 1.9."""


class SharedPrefix(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Changes a trainer's batches from plain ones to shared ones when training begins, and back at its end."""

    def __init__(self, trainer: Any, report: Callable[[Mapping[str, Any]], None]) -> None:
        """Take the place of the trainer's collators; until the check has passed, batches are plain."""
        self._report = report
        self._is_on = False
        self._plain = trainer.data_collator
        self._attention = attention_of(trainer.model)
        trainer.data_collator = self.collate
        # Axolotl has one of its own for evaluations.
        if hasattr(trainer, "eval_data_collator"):
            trainer.eval_data_collator = self.collate

    def collate(self, rows: Sequence[Row]) -> Batch:
        """Return rows as one batch."""
        return shared_batch(rows) if self._is_on else self._plain(rows)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Share from here on if loss and gradients of a few rows are those of a plain batch."""
        model, rows = given["model"], _few(given["train_dataloader"].dataset)
        allowed = allowed_difference(model, args)
        found: dict[str, Any] = {}
        try:
            found["difference"] = self._difference(model, rows, args)
        except UnsupportedModelError as error:
            found["reason"] = str(error)
        # Models refuse what they do not know with errors of every type, and plain batches are always right.
        except Exception as error:  # noqa: BLE001
            found["reason"] = f"{type(error).__name__}: {first_line(error)}"
        else:
            # Written this way round, so that NaN counts as different.
            if not found["difference"] <= allowed:
                found["reason"] = "loss or gradients are not those of plain batches"
        used = "reason" not in found
        self._share(model, on=used)
        # Of several processes the first one reports: all check the same rows.
        if state.is_world_process_zero:
            self._report({"event": "shared_prefix", "used": used, **found})

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Give the model its own attention back."""
        self._share(given["model"], on=False)

    def _share(self, model: Any, *, on: bool) -> None:
        self._is_on = on
        model.set_attn_implementation(NAME if on else self._attention)
        # Held to the plain way by the same check.
        fuse(model, on=on)
        fuse_norms(model, on=on)

    def _difference(self, model: Any, rows: Sequence[Row], args: TrainingArguments) -> float:
        with undisturbed(model), casting(model, autocast_dtype(args)):
            plain = gradients_of(model, on_device(model, self._plain(rows)))
            self._share(model, on=True)
            shared = gradients_of(model, on_device(model, self.collate(rows)))
        return difference(plain, shared)


def _few(rows: Sequence[Row]) -> list[Row]:
    """Return the two shortest of the first rows, of other lengths where there are: a plain batch pads one of them."""
    first = [rows[number] for number in range(min(len(rows), FIRST_ROWS))]
    order = sorted(first, key=lambda row: len(row["input_ids"]))
    longer = [row for row in order[1:] if len(row["input_ids"]) > len(order[0]["input_ids"])]
    return [*order[:1], *(longer or order[1:])[:1]]


def allowed_difference(model: torch.nn.Module, args: TrainingArguments) -> float:
    """Return how far loss and gradients of two forms of the same rows may lie apart."""
    return LARGEST_DIFFERENCE if _is_exact(model, args) else LARGEST_ROUNDED


def _is_exact(model: torch.nn.Module, args: TrainingArguments) -> bool:
    """Return whether products are of 32 bits: nothing is cast, and no weight is held in fewer."""
    dtypes = {weight.dtype for weight in model.parameters()}
    return autocast_dtype(args) is None and dtypes == {torch.float32}
