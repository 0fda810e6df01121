"""Training on batches that share their rows' common start, after they were checked against plain ones.

Set up on a backend's trainer before it trains. When training begins, the loss and the gradients of a few rows are
computed both ways; where they differ, or the model cannot take such batches, training goes on in the plain way and
says why. A few tokens of the start and the first layers show it; where those differ, all layers are asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from engine.errors import first_line
from engine.runtime.models.load import attention_of
from engine.runtime.scoring.packed_cache import UnsupportedModelError
from engine.runtime.training.evaluation_lanes import evaluate_in_lanes, evaluate_plainly
from engine.runtime.training.few_layers import few_layers
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
from engine.runtime.training.prefix_attention import BLOCK, NAME
from engine.runtime.training.prefix_batch import Row, shared_batch, shared_prefix

FIRST_ROWS = 64
"""Rows of which two are computed both ways."""
LARGEST_DIFFERENCE = 1e-3
"""Of loss and gradients in 32 bits, relative to the plain ones; 2e-6 was measured of a model of 135 M parameters."""
LARGEST_ROUNDED = 0.2
"""The same where products are of 16 bits: 0.03 was measured of that model, whose plain gradients lie 0.04 from those
in 32 bits; rows that see each other gave 0.4 to 1.9."""
OF_FEW = 0.5
"""The share of these that the first layers may be off by: of that model's 8 it is 0.02 in 16 bits, and 0.17 to 2.2 with
one of 14 faults of positions, masks, places and ways back; of all 30 layers 0.05, and 0.28 to 5.7."""
START = 8
"""Tokens that are kept of a common start, at its end."""
LONG_START = 2 * BLOCK
"""The same of a start that goes through in blocks: two of them."""


class SharedPrefix(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Changes a trainer's batches from plain ones to shared ones when training begins, and back at its end."""

    def __init__(self, trainer: Any, report: Callable[[Mapping[str, Any]], None]) -> None:
        """Take the place of the trainer's collators; until the check has passed, batches are plain."""
        self._report, self._trainer = report, trainer
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
        model = given["model"]
        found: dict[str, Any] = {}
        try:
            rows = _cut(_few(given["train_dataloader"].dataset))
            found["difference"], allowed = self._difference(model, rows, args)
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
        if used:
            evaluate_in_lanes(self._trainer)
        # Of several processes the first one reports: all check the same rows.
        if state.is_world_process_zero:
            self._report({"event": "shared_prefix", "used": used, **found})

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Give the model its own attention back."""
        self._share(given["model"], on=False)
        evaluate_plainly(self._trainer)

    def _share(self, model: Any, *, on: bool) -> None:
        self._is_on = on
        model.set_attn_implementation(NAME if on else self._attention)
        # Held to the plain way by the same check.
        fuse(model, on=on)
        fuse_norms(model, on=on)

    def _difference(
        self, model: Any, rows: Sequence[Row], args: TrainingArguments
    ) -> tuple[float, float]:
        """Return how far the two ways lie apart, and how far they may."""
        allowed = allowed_difference(model, args)
        with undisturbed(model), casting(model, autocast_dtype(args)):
            # Where the first layers differ, or cannot be asked by themselves, the whole model decides.
            with contextlib.suppress(Exception), few_layers(model) as is_few:
                if is_few and (found := self._apart(model, rows)) <= OF_FEW * allowed:
                    return found, OF_FEW * allowed
            return self._apart(model, rows), allowed

    def _apart(self, model: Any, rows: Sequence[Row]) -> float:
        self._share(model, on=False)
        plain = gradients_of(model, on_device(model, self._plain(rows)))
        self._share(model, on=True)
        return difference(plain, gradients_of(model, on_device(model, self.collate(rows))))


def _few(rows: Sequence[Row]) -> list[Row]:
    """Return the two shortest of the first rows, of other lengths where there are: a plain batch pads one of them."""
    first = [rows[number] for number in range(min(len(rows), FIRST_ROWS))]
    order = sorted(first, key=lambda row: len(row["input_ids"]))
    longer = [row for row in order[1:] if len(row["input_ids"]) > len(order[0]["input_ids"])]
    return [*order[:1], *(longer or order[1:])[:1]]


def _cut(rows: Sequence[Row]) -> list[Row]:
    """Return the rows without the first tokens of a common start, of which few are enough."""
    common = shared_prefix(rows)
    kept = LONG_START if common >= BLOCK else START
    cut = max(0, common - kept)
    # Columns that hold something of each token.
    return [
        {
            name: value[cut:] if _holds(value, len(row["input_ids"])) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _holds(value: object, count: int) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == count


def allowed_difference(model: torch.nn.Module, args: TrainingArguments) -> float:
    """Return how far loss and gradients of two forms of the same rows may lie apart."""
    return LARGEST_DIFFERENCE if _is_exact(model, args) else LARGEST_ROUNDED


def _is_exact(model: torch.nn.Module, args: TrainingArguments) -> bool:
    """Return whether products are of 32 bits: nothing is cast, and no weight is held in fewer."""
    dtypes = {weight.dtype for weight in model.parameters()}
    return autocast_dtype(args) is None and dtypes == {torch.float32}
