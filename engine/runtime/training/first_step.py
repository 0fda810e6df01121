"""Rows that pass alone through a model: at the start of a training, in its validation loss, and at its end."""

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch

from engine.runtime.models.load import attention_of, plain_logits
from engine.runtime.rendering.chat import kept_chat
from engine.runtime.rendering.rendered_files import IGNORED
from engine.runtime.training import fused_lora
from engine.runtime.training.batches import Row, allowed_difference, documents_of
from engine.runtime.training.gradients import (
    autocast_dtype,
    casting,
    undisturbed,
)
from engine.runtime.training.prefix_attention import NAME as SHARED_ATTENTION
from engine.runtime.training.rows_seen import RowsSeen, Tokens, Written, digest_of

PAIR: Final = (".lora_A.", ".lora_B.", ".lora_magnitude_vector.")
Report = Callable[[Mapping[str, Any]], None]
PLAIN_ROWS: Final = 2
"""Rows that pass through the model alone."""
FEW: Final = "logits_to_keep"
"""Key of a batch that requests the logits of some places only."""
FIRST_ROWS: Final = 64
"""Validation rows among which one is looked for that others pad."""
PLAIN_TOKENS: Final = 1024
"""Tokens of such a row; the pass of a longer one would be expensive."""
VALIDATION: Final = "validation.jsonl"


def still_parts(model: torch.nn.Module) -> dict[str, Any]:
    """Return the trained parts that no gradient reaches; one of a pair of an adapter is enough."""
    parts: dict[str, list[torch.Tensor]] = {}
    for name, weight in model.named_parameters():
        mark = next((one for one in PAIR if one in name), "")
        # Experts may be asked nothing.
        if weight.requires_grad and "expert" not in name and (mark or weight.ndim > 1):
            stem = name.partition(mark)[0] if mark else name
            own = parts.setdefault(stem.removeprefix("base_model.model."), [])
            own += [] if weight.grad is None else [weight.grad]
    grown = [one for own in parts.values() for one in own]
    # Together: on a GPU each by itself would wait for all that was asked before.
    largest = torch._foreach_norm(grown, math.inf) if grown else ()  # noqa: SLF001 - no other takes a list
    found = iter(torch.stack([one.float() for one in largest]).tolist() if grown else [])
    # NaN is no stillness: it is reported as what it is.
    still = [name for name, own in parts.items() if not sum(next(found) != 0 for _ in own)]
    return {"names": still[:3], "count": len(still), "of": len(parts)}


class FirstStep:
    """Looks at the rows of a trainer; `engine.runtime.training.callbacks.Watch` calls it at each event."""

    def __init__(self, written: Written, report: Report) -> None:
        self._written, self._report = written, report
        self._is_open = self._is_measured = False
        self.holds: set[str] = set()
        """Keys of the trainer's batches."""
        self.made: list[Sequence[Row]] = []
        """The rows of batches that are not learned from yet."""
        self._allowed = 0.0
        self._padded: Any = None
        self._dtype: torch.dtype | None = None

    def measured_on(self, loader: Any) -> None:
        """Report once whether the rows of the validation loss are the rendered ones."""
        rows: Any = getattr(loader, "dataset", None)
        is_again, self._is_measured = self._is_measured, True
        if is_again or not {"input_ids", "labels"} <= set(getattr(rows, "column_names", ())):
            return
        wanted = Counter(digest_of(*one) for one in self._written.tokens(VALIDATION))
        found = Counter(
            digest_of(one["input_ids"], one["labels"]) for row in rows for one in documents_of(row)
        )
        other = max((wanted - found).total(), (found - wanted).total())
        self._report({"event": "validation_rows", "other": other, "of": wanted.total()})

    def begin(self, model: Any, loader: Any, args: Any, step: int) -> None:
        self._is_open = step == 0
        self._dtype = autocast_dtype(args)
        self._allowed = allowed_difference(model, args)
        # Accelerate wraps the loader whose attribute is read when a pass over the rows begins.
        loader = getattr(loader, "base_dataloader", loader)
        make = loader.collate_fn
        alone = args.world_size == 1
        self.rows = RowsSeen(self._written.tokens(), self._report, self._look, counts=alone)
        # The second one is Axolotl's.
        is_curriculum = getattr(args, "curriculum_sampling", False)
        self.rows.is_shuffled = args.train_sampling_strategy == "random" and not is_curriculum
        self.rows.offered(loader.dataset)
        if step and alone:
            self.rows.go_on(Path(args.output_dir) / f"checkpoint-{step}")
        if alone:
            self._padded = model.register_forward_hook(self._measured, with_kwargs=True)

        def collate(rows: Sequence[Row]) -> Any:
            # Before the batch is made: collators may take the labels out of the rows.
            self.made.append([dict(row) for row in rows] if alone else [])
            self.rows.collated(rows)
            batch = make(rows)
            self.holds.update(batch)
            return batch

        loader.collate_fn = collate

    def _measured(self, model: Any, given: Any, named: Mapping[str, Any], result: Any) -> None:
        logits: Any = getattr(result, "logits", None)
        labels: Any = named.get("labels")
        # Rows behind a shared start, or packed, were compared with plain ones before.
        is_plain = named.get("position_ids") is None and isinstance(logits, torch.Tensor)
        if model.training or not is_plain or labels is None or logits.shape[:2] != labels.shape:
            return
        rows = islice(self._written.tokens(VALIDATION), FIRST_ROWS)
        found = padded_row(named["input_ids"].tolist(), labels.tolist(), rows)
        if found is None:
            return
        self._padded.remove()
        number, part, row = found
        kept, learned = logits[number, part][:-1], labels[number, part][1:]
        nats = float(token_nats(kept[learned != IGNORED], learned[learned != IGNORED]).sum())
        with plainly(model, self._dtype):
            ((alone, count),) = nats_alone(model, [row])
        self._report_apart("padded_row", abs(nats - alone) / max(abs(alone), count))

    def _report_apart(self, event: str, difference: float) -> None:
        # As text: JSON has no number for NaN.
        self._report({"event": event, "difference": str(difference), "allowed": self._allowed})

    def kept(self, model: Any, args: Any) -> None:
        """Let some rows pass alone through the model that is kept: who loads it later must find the same."""
        if self.rows.is_off or args.world_size > 1:
            return
        few = plain_rows(self._written)
        with plainly(model, autocast_dtype(args)):
            # Who makes batches that ask for few logits was found to get the right ones.
            found = nats_alone(model, few, asks_for_few=FEW in self.holds)
        rows = [[str(nats), count] for nats, count in found]
        self._report({"event": "kept_rows", "rows": rows})

    def before(self, model: Any, args: Any) -> list[Sequence[Row]]:
        """Return the rows of the passes of the step that begins; look at the first two before the first step."""
        batches = [] if self.rows.is_off else self.made[: args.gradient_accumulation_steps]
        few = [row for batch in batches for row in batch][:PLAIN_ROWS]
        is_open, self._is_open = self._is_open, False
        is_short = all(len(row["input_ids"]) <= PLAIN_TOKENS for row in few)
        if is_open and few and is_short and all(len([*documents_of(one)]) == 1 for one in few):
            with plainly(model, autocast_dtype(args)):
                found, apart = nats_and_ahead(model, few)
            tokens = sum(len(row["input_ids"]) - 1 for row in few)
            loss = sum(found) / max(tokens, 1)
            guess = math.log(model.get_output_embeddings().weight.shape[0])
            self._report({"event": "base_loss", "loss": str(loss), "guess": guess})
            self._report_apart("ahead", apart)
        return batches

    def step_ended(self, batches: int) -> None:
        del self.made[:batches]
        self.rows.step_ended(batches)

    def epoch_ended(self, epoch: float) -> None:
        self.made.clear()
        self.rows.epoch_ended(epoch)

    def _look(self, rows: Sequence[Row]) -> None:
        """Report rows that learn otherwise than their rendered form says, and how the first one does."""
        ids = tuple(rows[0]["input_ids"])
        wanted = next((labels for own, labels in self._written.tokens() if tuple(own) == ids), ())
        tokenizer = kept_chat(self._written.base_model, asks=None).tokenizer
        learned, expected = (
            tokenizer.decode(
                [one for one in labels if one != IGNORED], clean_up_tokenization_spaces=False
            )[:200]
            for labels in (rows[0]["labels"], wanted)
        )
        found = {"wrong": len(rows), "learned": learned, "expected": expected}
        self._report({"event": "labels", **found})


def padded_row(
    ids: Sequence[list[int]], labels: Sequence[list[int]], rows: Iterator[Tokens]
) -> tuple[int, slice, Row] | None:
    """Return the shortest row that is padded in a batch, and its place there; None where none is."""
    width = len(ids[0])
    for row, wanted in sorted(rows, key=lambda one: len(one[0])):
        for number, own in enumerate(ids if 1 < len(row) < width else ()):
            for part in (slice(0, len(row)), slice(width - len(row), width)):
                if tuple(own[part]) == row and labels[number][part][1:] == wanted[1:]:
                    return number, part, {"input_ids": row, "labels": wanted}
    return None


def plain_rows(written: Written) -> list[Row]:
    """Return the first rendered rows that are short enough to pass through a model alone."""
    rows = (
        {"input_ids": ids, "labels": labels}
        for ids, labels in written.tokens(at_once=PLAIN_ROWS)
        if len(ids) <= PLAIN_TOKENS and any(one != IGNORED for one in labels[1:])
    )
    return [*islice(rows, PLAIN_ROWS)]


def learned_nats(model: Any, rows: Sequence[Row], *, asks_for_few: bool) -> list[torch.Tensor]:
    """Return minus the log-probability of each learned token of each row; gradients flow.

    With `asks_for_few` the model gives no logits of other tokens: models as transformers loads them can, some trainers'
    own cannot.
    """
    ids = [row["input_ids"] for row in rows]
    learned = [
        [at for at, one in enumerate([*row["labels"]][1:]) if one != IGNORED] for row in rows
    ]
    if asks_for_few:
        return _nats_behind(model, ids, learned)
    return [nats[at] for nats, at in zip(_nats_behind(model, ids), learned, strict=True)]


@torch.no_grad()
def nats_alone(
    model: Any, rows: Sequence[Row], *, asks_for_few: bool = False
) -> list[tuple[float, int]]:
    """Return of each row the sum of `learned_nats`, and how many tokens that are."""
    found = learned_nats(model, rows, asks_for_few=asks_for_few)
    return [(float(nats.sum()), len(nats)) for nats in found]


@torch.no_grad()
def nats_and_ahead(model: Any, rows: Sequence[Row]) -> tuple[list[float], float]:
    """Return minus the log-probability of each row, and by how many nats a token half of the longest differs alone.

    The rows pass in another order than in their batch, so that one that gets what is another's shows.
    """
    ids = [list(row["input_ids"]) for row in rows]
    longest = max(range(len(ids)), key=lambda at: len(ids[at]))
    half = ids[longest][: max(2, len(ids[longest]) // 2)]
    alone, *every = _nats_behind(model, [half, *reversed(ids)])
    every.reverse()
    apart = float((every[longest][: len(alone)] - alone).abs().mean())
    return [float(nats.sum()) for nats in every], apart


def _nats_behind(
    model: Any, rows: Sequence[Sequence[int]], places: Sequence[Sequence[int]] | None = None
) -> list[torch.Tensor]:
    places = places or [range(len(row) - 1) for row in rows]
    logits = plain_logits(model, rows, places)
    return [
        token_nats(own, torch.tensor([row[at + 1] for at in wanted], device=own.device))
        for own, row, wanted in zip(logits, rows, places, strict=True)
    ]


def token_nats(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return minus the log-probability of each token, without the function that the trainer's loss is computed by."""
    numbers = logits.float()
    return numbers.logsumexp(-1) - numbers.gather(-1, tokens[..., None])[..., 0]


@contextlib.contextmanager
def plainly(model: Any, dtype: torch.dtype | None) -> Iterator[None]:
    """Have a model read rows in the plain way, nothing fused or shared, and leave it as it was."""
    before = attention_of(model)
    fused = [
        (one, forward)
        for one in model.modules()
        if isinstance(forward := vars(one).get("forward"), partial)
        and forward.func.__module__ == fused_lora.__name__
    ]
    with undisturbed(model), casting(model, dtype):
        model.eval()
        if before == SHARED_ATTENTION:
            model.set_attn_implementation("eager")
        for module, _ in fused:
            del module.forward
        try:
            yield
        finally:
            for module, forward in fused:
                module.forward = forward
            if before == SHARED_ATTENTION:
                model.set_attn_implementation(before)


def optimizer_steps(optimizer: Any) -> int | None:
    """Return the steps that an optimizer counts, the most of any weight; None where it counts none."""
    states = getattr(optimizer, "state", None)
    counts = [
        int(state["step"])
        for state in (states or {}).values()
        if isinstance(state, Mapping) and "step" in state
    ]
    return max(counts, default=None)
