"""Batches of packed rows, and those that share their rows' start, each compared with plain ones before training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from typing import Any

import torch
from transformers import TrainerCallback, TrainingArguments

from engine.errors import first_line
from engine.runtime.models.load import attention_of, filling_of
from engine.runtime.rendering.rendered_files import IGNORED
from engine.runtime.scoring.label_search import common_prefix
from engine.runtime.scoring.packed_cache import UnsupportedModelError
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
from engine.runtime.training.prefix_attention import BLOCK, NAME, Layout


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


Row = Mapping[str, Sequence[int]]
"""`input_ids` and `labels` of the same length; `IGNORED` where nothing is learned."""


def shared_prefix(rows: Sequence[Row]) -> int:
    """Return how many tokens all rows begin with, less what a row needs behind it.

    That is its first learned token and the one before, which predicts it: two rows may go on differently there.
    """
    common = common_prefix([list(row["input_ids"]) for row in rows])
    return max(0, min(common, *(_first_learned(row) - 1 for row in rows)))


def shared_batch(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows as one batch of a model whose attention is that of `prefix_attention`."""
    prefix = shared_prefix(rows)
    # Behind the last learned token, or where nothing is learned the first one of the row's own.
    last = (range(len(row["labels"]) - 1, 0, -1) for row in rows)
    ends = [
        next((place for place in places if row["labels"][place] != IGNORED), prefix + 1)
        for row, places in zip(rows, last, strict=True)
    ]
    lengths = [end - prefix for end in ends]
    shortest = lengths.index(min(lengths))
    filling = filling_of(prefix + sum(lengths))
    lengths[shortest] += filling
    starts = list(accumulate(lengths, initial=prefix))
    ids = [*rows[0]["input_ids"][:prefix]]
    positions = [*range(prefix)]
    learned: list[int] = []
    labels: list[int] = []
    for number, (row, start, end) in enumerate(zip(rows, starts, ends, strict=False)):
        filled = filling if number == shortest else 0
        ids += [*row["input_ids"][prefix:end], *[row["input_ids"][end - 1]] * filled]
        # A model that looks positions up in a table has none behind the last.
        positions += [*range(prefix, end), *[end - 1] * filled]
        for place, label in enumerate(row["labels"][prefix + 1 :]):
            if label != IGNORED:
                learned.append(start + place)
                labels.append(label)
    target, asked = (torch.tensor(one, dtype=torch.long) for one in ([labels], learned))
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        # Beside the shifted ones, which the loss reads: trainers ask whether a batch has labels at all.
        "labels": target,
        "shift_labels": target,
        "logits_to_keep": asked,
        "layout": Layout.of(prefix, lengths),
    }


def _first_learned(row: Row) -> int:
    return next(
        (place for place, label in enumerate(row["labels"]) if label != IGNORED), len(row["labels"])
    )


FIRST_ROWS = 64
"""Rows of which two are computed both ways."""
LARGEST_DIFFERENCE = 1e-3
"""Relative tolerance of loss and gradients in 32 bits; 2e-6 was measured for a model of 135 M parameters."""
LARGEST_ROUNDED = 0.2
"""The same where products are of 16 bits: 0.03 was measured of that model, whose plain gradients lie 0.04 from those
in 32 bits; rows that see each other gave 0.4 to 1.9."""
START = 8
"""Tokens that are kept of a common start, at its end."""
LONG_START = 2 * BLOCK
"""The same of a start that goes through in blocks: two of them."""


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
        return shared_batch(rows) if self._is_on else self._plain(rows)

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        model = given["model"]
        found: dict[str, Any] = {}
        try:
            rows = _cut(_few(given["train_dataloader"].dataset))
            found["difference"] = self._difference(model, rows, args)
        except UnsupportedModelError as error:
            found["reason"] = str(error)
        # Models refuse what they do not know with errors of every type, and plain batches are always right.
        except Exception as error:  # noqa: BLE001
            found["reason"] = f"{type(error).__name__}: {first_line(error)}"
        else:
            # Written this way round, so that NaN counts as different.
            if not found["difference"] <= allowed_difference(model, args):
                found["reason"] = "loss or gradients are not those of plain batches"
        used = "reason" not in found
        self._share(model, on=used)
        # Of several processes the first one reports: all check the same rows.
        if state.is_world_process_zero:
            self._report({"event": "shared_prefix", "used": used, **found})

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._share(given["model"], on=False)

    def _share(self, model: Any, *, on: bool) -> None:
        self._is_on = on
        model.set_attn_implementation(NAME if on else self._attention)
        # The same check compares it with the plain way.
        fuse(model, on=on)

    def _difference(self, model: Any, rows: Sequence[Row], args: TrainingArguments) -> float:
        with undisturbed(model), casting(model, autocast_dtype(args)):
            self._share(model, on=False)
            plain = gradients_of(model, on_device(model, self._plain(rows)))
            self._share(model, on=True)
            return difference(plain, gradients_of(model, on_device(model, self.collate(rows))))


def _few(rows: Sequence[Row]) -> list[Row]:
    first = [rows[number] for number in range(min(len(rows), FIRST_ROWS))]
    order = sorted(first, key=lambda row: len(row["input_ids"]))
    longer = [row for row in order[1:] if len(row["input_ids"]) > len(order[0]["input_ids"])]
    return [*order[:1], *(longer or order[1:])[:1]]


def _cut(rows: Sequence[Row]) -> list[Row]:
    common = shared_prefix(rows)
    cut = max(0, common - (LONG_START if common >= BLOCK else START))

    def is_of_tokens(value: object, row: Row) -> bool:
        if not isinstance(value, Sequence) or isinstance(value, str):
            return False
        return len(value) == len(row["input_ids"])

    return [
        {name: one[cut:] if is_of_tokens(one, row) else one for name, one in row.items()}
        for row in rows
    ]


def allowed_difference(model: torch.nn.Module, args: TrainingArguments) -> float:
    """Return how far loss and gradients of two forms of the same rows may lie apart."""
    # Products are of 32 bits where nothing is cast, and no weight is held in fewer.
    is_exact = {weight.dtype for weight in model.parameters()} == {torch.float32}
    is_exact = is_exact and autocast_dtype(args) is None
    return LARGEST_DIFFERENCE if is_exact else LARGEST_ROUNDED
