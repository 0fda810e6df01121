"""Batches of packed rows, in which no document sees another; checked before anything is trained.

Positions start again with each document, and no mask is given: attention is then built by document
(`transformers.masking_utils`). A mask of ones would undo that without a word, and models whose layers pass on a state
know nothing of it. So loss and gradients of a row are compared with those of its documents one below another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from transformers import TrainerCallback

from engine.runtime.rendering.files import IGNORED
from engine.runtime.training.fused_lora import fuse
from engine.runtime.training.gradients import (
    Batch,
    autocast_dtype,
    casting,
    difference,
    gradients_of,
    on_device,
    undisturbed,
)
from engine.runtime.training.shared_prefix import allowed_difference

Row = Mapping[str, Sequence[int]]
"""`input_ids` and `labels`; `attention_mask` numbers the documents, and is absent where there is one."""


class PackedRows(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Makes the batches of a trainer, and reports how far one lies from its documents by themselves."""

    def __init__(self, trainer: Any, report: Callable[[Mapping[str, Any]], None]) -> None:
        self._report = report
        self._plain = trainer.data_collator
        trainer.data_collator = packed_batch
        # Axolotl has one of its own for evaluations.
        if hasattr(trainer, "eval_data_collator"):
            trainer.eval_data_collator = packed_batch

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        model, row = given["model"], given["train_dataloader"].dataset[0]
        with undisturbed(model), casting(model, autocast_dtype(args)):
            apart = on_device(model, self._plain(list(documents_of(row))))
            plain = gradients_of(model, apart, is_exact=True)
            fuse(model, on=True)
            packed = gradients_of(model, on_device(model, packed_batch([row])), is_exact=True)
        if state.is_world_process_zero:
            found = {"difference": difference(plain, packed)}
            found["allowed"] = allowed_difference(model, args)
            self._report({"event": "packed_rows", **found})

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        fuse(given["model"], on=False)


def packed_batch(rows: Sequence[Row]) -> Batch:
    """Return rows as one batch: padded with a document of its own, without a mask and a cache."""
    longest = max(len(row["input_ids"]) for row in rows)

    def filled(values: Sequence[int], padding: Sequence[int]) -> list[int]:
        return [*values, *padding][:longest]

    return {
        "input_ids": torch.tensor([filled(row["input_ids"], [0] * longest) for row in rows]),
        "labels": torch.tensor([filled(row["labels"], [IGNORED] * longest) for row in rows]),
        "position_ids": torch.tensor([filled(positions_of(row), range(longest)) for row in rows]),
        # With a cache, positions are taken for those of a text that goes on, and documents see each other.
        "use_cache": False,
    }


def positions_of(row: Row) -> list[int]:
    return [place for document in documents_of(row) for place in range(len(document["input_ids"]))]


def documents_of(row: Row) -> Iterator[Row]:
    ids, labels = row["input_ids"], row["labels"]
    begin = 0
    for _, marks in groupby(row.get("attention_mask", [1] * len(ids))):
        end = begin + len(list(marks))
        yield {"input_ids": ids[begin:end], "labels": labels[begin:end]}
        begin = end
