"""The first step of a training looked at: which tokens it learns, what its loss is made of, what gets a gradient.

Labels are compared with the rendered rows' answers. The loss that the trainer logs is computed again from its own
logits, the probabilities of two rows, and of a padded validation row, by a plain pass over each alone. Each adapter
must get a gradient, and optimizer and trainer must count the same steps. Nothing of it goes through the code that makes
batches.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import batched, islice
from pathlib import Path
from typing import Any, Final

import torch

from engine.files.reading import parse_json
from engine.runtime.models.load import attention_of, plain_logits
from engine.runtime.rendering.chat import Chat, kept_chat
from engine.runtime.rendering.packing import IGNORED
from engine.runtime.scoring.label_search import common_prefix
from engine.runtime.training.gradients import autocast_dtype, casting, undisturbed
from engine.runtime.training.packed_rows import documents_of
from engine.runtime.training.prefix_attention import NAME as SHARED_ATTENTION
from engine.runtime.training.rows_seen import FedBatches, RowsSeen, digest_of
from engine.runtime.training.shared_prefix import allowed_difference
from engine.values import Value, replace

PAIR: Final = (".lora_A.", ".lora_B.", ".lora_magnitude_vector.")
MATRIX: Final = 2
FIRST_NUMBERS: Final = 64
"""Of a gradient."""


class TrainedParts:
    """The parts that are trained when training begins; their gradients are looked at in each step."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._parts: dict[str, list[torch.nn.Parameter]] = {}
        for name, weight in model.named_parameters():
            # Experts may be asked nothing.
            if not weight.requires_grad or "expert" in name:
                continue
            mark = next((one for one in PAIR if one in name), "")
            if mark or weight.ndim >= MATRIX:
                stem = name.partition(mark)[0] if mark else name
                self._parts.setdefault(stem.removeprefix("base_model.model."), []).append(weight)

    def still(self) -> dict[str, Any]:
        """Return the parts that get no gradient."""
        names = [*self._parts]
        # All of a gradient, or those of a whole pair, are only looked at where a few numbers are zeros.
        for last, most in ((1, FIRST_NUMBERS), (0, FIRST_NUMBERS), (0, None)):
            gradients = {
                name: [one.grad for one in self._parts[name][-last:] if one.grad is not None]
                for name in names
            }
            moving = _moving(gradients, most)
            names = [name for name in names if name not in moving]
            if not names:
                break
        return {"names": names[:3], "count": len(names), "of": len(self._parts)}


def _moving(parts: Mapping[str, Sequence[torch.Tensor]], most: int | None) -> AbstractSet[str]:
    """Return the parts that have a number other than 0 among the first ones of a gradient, or anywhere for None."""
    alike: dict[tuple[int, torch.device, torch.dtype], list[tuple[str, torch.Tensor]]] = {}
    for stem, gradients in parts.items():
        for gradient in gradients:
            # Whole gradients are not laid beside each other: that would hold all of them twice.
            numbers = gradient.any()[None] if most is None else gradient.reshape(-1)[:most]
            kind = (len(numbers), numbers.device, numbers.dtype)
            alike.setdefault(kind, []).append((stem, numbers))
    moving = set[str]()
    # Together: on a GPU each look by itself would wait for all that was asked before.
    for found in alike.values():
        moved = torch.stack([numbers for _, numbers in found]).any(1).tolist()
        moving |= {stem for (stem, _), moves in zip(found, moved, strict=True) if moves}
    return moving


Report = Callable[[Mapping[str, Any]], None]
Row = Mapping[str, Sequence[int]]
AT_ONCE: Final = 1000
"""Rows of the file that are tokenised together."""
PLAIN_ROWS: Final = 2
"""Rows that pass through the model alone."""
FEW: Final = 8
"""Tokens that two rows must have in common, and of their own, for their start to be compared."""
OF_START: Final = 2
"""By how much more it counts: six faults of a mask in a model of 135 M parameters move it half as much or more."""
FIRST_ROWS: Final = 64
"""Validation rows among which one is looked for that others pad."""
PLAIN_TOKENS: Final = 1024
"""Of such a row at most: of a longer one the pass would be dear."""
LOGGED: Final = 1e-3
"""By which a logged loss may differ from its own logits' in 32 bits, as a share."""
LOGGED_ROUNDED: Final = 0.02
"""The same where products are of 16 bits."""
TEACHER: Final = "target_tokens"
"""In a batch whose loss is to a teacher's probabilities as well."""


class Written(Value):
    """Where the rendered rows lie, and what is learned of them."""

    rows: Path
    """`train.jsonl`."""
    base_model: Path
    """Whose tokenizer reads them."""
    learn_all: bool = False
    """Every token is learned, and not the answers alone."""


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What the passes of the first step have shown."""

    nats: float = 0.0
    tokens: int = 0
    means: list[float] = field(default_factory=list)
    """Of each pass."""
    rows: list[float] = field(default_factory=list)
    """Nats of each row, as far as passes show single rows."""
    has_logits: bool = True
    has_teacher: bool = False


class FirstStep:
    """Looks at a trainer's first step; `engine.runtime.training.callbacks.Watch` calls it at each event."""

    def __init__(self, written: Written, report: Report) -> None:
        self._written, self._report = written, report
        self._is_open = False
        self._is_first = self._is_measured = False
        self._collated: list[Sequence[Row]] = []
        self._seen = _Seen()
        self._plain: list[tuple[float, int]] = []
        self._allowed = self._logged_allowed = 0.0
        self._handle: Any = None
        self._first_logged = True
        self._rows: RowsSeen | None = None
        self._dtype: torch.dtype | None = None
        self._padded: Any = None
        self._fed: FedBatches | None = None
        self._parts: TrainedParts | None = None
        self._asks_for_few = False

    def measured_on(self, loader: Any) -> None:
        """Report once whether the rows of the validation loss are the rendered ones."""
        rows: Any = getattr(loader, "dataset", None)
        is_again, self._is_measured = self._is_measured, True
        if is_again:
            return
        if not {"input_ids", "labels"} <= set(getattr(rows, "column_names", ())):
            return
        wanted = Counter(digest_of(*one) for one in self._validation_rows())
        found = Counter(
            digest_of(one["input_ids"], one["labels"]) for row in rows for one in documents_of(row)
        )
        other = max((wanted - found).total(), (found - wanted).total())
        self._report({"event": "validation_rows", "other": other, "of": wanted.total()})

    def begin(self, model: Any, loader: Any, args: Any, step: int) -> None:
        """Remember the rows that batches are made of from here on."""
        self._is_open, self._is_first = True, step == 0
        self._first_logged = step == 0 and args.logging_steps == 1
        self._dtype = autocast_dtype(args)
        is_exact = self._dtype is None
        self._logged_allowed = LOGGED if is_exact else LOGGED_ROUNDED
        self._allowed = allowed_difference(model, args)
        # Accelerate wraps the loader whose attribute is read when a pass over the rows begins.
        loader = getattr(loader, "base_dataloader", loader)
        make = loader.collate_fn
        if args.world_size == 1:
            chat = kept_chat(self._written.base_model, asks=None)
            self._rows = RowsSeen(_expected(self._written, chat, None), self._report, self._look)
            # The second one is Axolotl's.
            is_curriculum = getattr(args, "curriculum_sampling", False)
            self._rows.is_shuffled = args.train_sampling_strategy == "random" and not is_curriculum
            self._rows.offered(loader.dataset)
            if step:
                self._rows.go_on(Path(args.output_dir) / f"checkpoint-{step}")
            self._padded = model.register_forward_hook(self._measured, with_kwargs=True)
        self._parts = TrainedParts(model)
        fed = FedBatches(args.gradient_accumulation_steps, self._report, step)
        self._fed = fed
        model.register_forward_pre_hook(fed.passes, with_kwargs=True)

        def collate(rows: Sequence[Row]) -> Any:
            # Before the batch is made: collators may take the labels out of the rows.
            if self._is_open:
                self._collated.append([dict(row) for row in rows])
            if self._rows is not None:
                self._rows.collated(rows)
            fed.collated(rows)
            batch = make(rows)
            self._seen.has_teacher |= TEACHER in batch
            self._asks_for_few |= "logits_to_keep" in batch
            return batch

        loader.collate_fn = collate

    def _validation_rows(self) -> Iterator[tuple[tuple[int, ...], list[int]]]:
        written = replace(self._written, rows=self._written.rows.with_name("validation.jsonl"))
        return _expected(written, kept_chat(written.base_model, asks=None), None)

    def _measured(self, model: Any, given: Any, named: Mapping[str, Any], result: Any) -> None:
        logits: Any = getattr(result, "logits", None)
        labels: Any = named.get("labels")
        # Rows behind a shared start, or packed, were compared with plain ones before.
        is_plain = named.get("position_ids") is None and isinstance(logits, torch.Tensor)
        if model.training or not is_plain or labels is None or logits.shape[:2] != labels.shape:
            return
        rows = islice(self._validation_rows(), FIRST_ROWS)
        found = padded_row(named["input_ids"].tolist(), labels.tolist(), rows)
        if found is None:
            return
        self._padded.remove()
        number, part, row = found
        kept, learned = logits[number, part][:-1], labels[number, part][1:]
        nats = float(token_nats(kept[learned != IGNORED], learned[learned != IGNORED]).sum())
        with undisturbed(model), casting(model, self._dtype), _plain_attention(model):
            ((alone, count, _),) = nats_of(model, [row])
        difference = abs(nats - alone) / max(abs(alone), count)
        self._report(
            {"event": "padded_row", "difference": str(difference), "allowed": self._allowed}
        )

    def step_ended(self, args: Any) -> None:
        if self._fed is not None:
            self._fed.step += 1
        if self._rows is not None:
            self._rows.step_ended(args.gradient_accumulation_steps)

    def epoch_ended(self, epoch: float) -> None:
        """Say which rows an epoch has seen."""
        if self._rows is not None:
            self._rows.epoch_ended(epoch)

    def save(self, checkpoint: Path) -> None:
        """Write which rows were seen into a checkpoint."""
        if self._rows is not None:
            self._rows.save(checkpoint)

    def kept(self, model: Any, args: Any) -> None:
        """Let some rows pass alone through the model that is kept: who loads it later must find the same."""
        if self._rows is None or self._rows.is_off:
            return
        with undisturbed(model), casting(model, autocast_dtype(args)), _plain_attention(model):
            model.eval()
            few = plain_rows(self._written)
            # Who makes batches that ask for few logits was found to get the right ones.
            found = (
                learned_nats(model, few)
                if self._asks_for_few
                else [nats for nats, *_ in nats_of(model, few)]
            )
        counts = [sum(one != IGNORED for one in [*row["labels"]][1:]) for row in few]
        rows = [[str(nats), count] for nats, count in zip(found, counts, strict=True)]
        self._report({"event": "kept_rows", "rows": rows})

    def before(self, model: Any, args: Any) -> None:
        """Look at the labels of the first step, and let two of its rows pass through the model alone."""
        if not self._is_open:
            return
        self._is_open = False
        batches = self._collated[: args.gradient_accumulation_steps]
        rows = [row for batch in batches for row in batch]
        self._collated = []
        if not rows or not all("labels" in row and "input_ids" in row for row in rows):
            return
        documents = [one for row in rows for one in documents_of(row)]
        self._look(documents)
        # Noise that is added to embeddings, or what is dropped out, gives another loss each time.
        noise = ("neftune_noise_alpha", "label_smoothing_factor")
        is_noisy = any(getattr(args, name, None) for name in noise) or drops_out(model)
        if not self._is_first or is_noisy:
            return
        self._look_at_loss(model, args, rows)

    def _look(self, documents: Sequence[Row]) -> None:
        self._report({"event": "labels", **labels_found(documents, self._written)})

    def _look_at_loss(self, model: Any, args: Any, rows: Sequence[Row]) -> None:
        few = rows[:PLAIN_ROWS]
        # Documents of a packed row were compared with each by itself already.
        if all(
            len(row["input_ids"]) <= PLAIN_TOKENS and len([*documents_of(row)]) == 1 for row in few
        ):
            with undisturbed(model), casting(model, autocast_dtype(args)), _plain_attention(model):
                model.eval()
                found, apart = nats_and_ahead(model, few)
            self._plain = [(learned, count) for learned, count, _ in found]
            tokens = sum(len(row["input_ids"]) - 1 for row in few)
            loss = sum(whole for *_, whole in found) / max(tokens, 1)
            guess = math.log(model.get_output_embeddings().weight.shape[0])
            self._report({"event": "base_loss", "loss": str(loss), "guess": guess})
            self._report({"event": "ahead", "difference": str(apart), "allowed": self._allowed})
        self._handle = model.register_forward_hook(self._passed, with_kwargs=True)

    def _passed(self, model: Any, given: Any, named: Mapping[str, Any], result: Any) -> None:
        logits, labels = getattr(result, "logits", None), named.get("labels")
        if not model.training or not isinstance(logits, torch.Tensor) or labels is None:
            self._seen.has_logits = False
            return
        with torch.no_grad():
            if "logits_to_keep" in named:
                kept, learned = logits[0], labels[0]
                # Behind one shared start the learned tokens stand one row after another.
                sizes = [count for _, count in self._plain[len(self._seen.rows) :]]
            else:
                mask = labels[:, 1:] != IGNORED
                kept, learned = logits[:, :-1][mask], labels[:, 1:][mask]
                sizes = mask.sum(1).tolist()
            nats = token_nats(kept, learned)
        self._seen.nats += float(nats.sum())
        self._seen.tokens += len(learned)
        self._seen.means.append(float(nats.mean()) if len(nats) else 0.0)
        begin = 0
        for size in sizes:
            if begin + size > len(nats) or len(self._seen.rows) == PLAIN_ROWS:
                break
            self._seen.rows.append(float(nats[begin : begin + size].sum()))
            begin += size

    def before_update(self) -> None:
        """Compare the two rows, and look for adapters that get no gradient."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
            if self._seen.has_logits and self._plain:
                apart = (
                    abs(own - nats) / max(abs(nats), count)
                    for (nats, count), own in zip(self._plain, self._seen.rows, strict=False)
                )
                found = {"difference": str(max(apart, default=0.0)), "allowed": self._allowed}
                self._report({"event": "first_rows", **found})
        if self._parts is not None:
            self._report({"event": "still", **self._parts.still()})

    def logged(self, loss: float) -> None:
        """Compare the first loss that the trainer logs with that of its own logits."""
        is_first, self._first_logged = self._first_logged, False
        if not is_first:
            return
        seen = self._seen
        is_known = seen.has_logits and seen.tokens > 0 and not seen.has_teacher
        sums = _of_all([not is_known, seen.nats, seen.tokens, sum(seen.means), len(seen.means)])
        unknown, nats, tokens, means, passes = sums
        if unknown:
            return
        # Models that do not take the number of learned tokens give a mean of each batch.
        ways = (nats / tokens, means / passes)
        found = {"logged": str(loss), "computed": str(min(ways, key=lambda one: abs(one - loss)))}
        self._report({"event": "first_loss", **found, "allowed": self._logged_allowed})


def _of_all(numbers: Sequence[float]) -> list[float]:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return list(numbers)
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    summed = torch.tensor(numbers, dtype=torch.float64, device=device)
    torch.distributed.all_reduce(summed)
    found: list[float] = summed.tolist()
    return found


def labels_found(rows: Sequence[Row], written: Written) -> dict[str, Any]:
    """Return how many rows of a batch learn otherwise than their rendered form says, and how the first one does."""
    wanted: dict[tuple[int, ...], list[int]] = {tuple(row["input_ids"]): [] for row in rows}
    missing = set(wanted)
    chat = kept_chat(written.base_model, asks=None)
    texts = {chat.tokenizer.decode(ids, clean_up_tokenization_spaces=False) for ids in wanted}
    # By their text first, which saves tokenising all rows; not every tokenizer gives the text back as it was.
    for only in (texts, None):
        for ids, labels in _expected(written, chat, only) if missing else ():
            if ids in missing:
                wanted[ids] = labels
                missing.discard(ids)
            if not missing:
                break
    # Nothing stands before the first token, so it is learned by no one.
    wrong = [row for row in rows if list(row["labels"])[1:] != wanted[tuple(row["input_ids"])][1:]]
    found: dict[str, Any] = {"rows": len(rows), "wrong": len(wrong)}
    if wrong:
        found["learned"] = _text(chat, wrong[0]["labels"])
        found["expected"] = _text(chat, wanted[tuple(wrong[0]["input_ids"])])
    return found


def padded_row(
    ids: Sequence[list[int]],
    labels: Sequence[list[int]],
    rows: Iterator[tuple[tuple[int, ...], list[int]]],
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
    chat = kept_chat(written.base_model, asks=None)
    rows = (
        {"input_ids": ids, "labels": labels}
        for ids, labels in _expected(written, chat, None, at_once=PLAIN_ROWS)
        if len(ids) <= PLAIN_TOKENS and any(one != IGNORED for one in labels[1:])
    )
    return [*islice(rows, PLAIN_ROWS)]


def _expected(
    written: Written, chat: Chat, only: AbstractSet[str] | None, *, at_once: int = AT_ONCE
) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    with written.rows.open(encoding="utf-8") as stream:
        read = (line for line in map(parse_json, stream) if only is None or _text_of(line) in only)
        for lines in batched(read, at_once):
            for packed in (line for line in lines if "input_ids" in line):
                for one in documents_of(packed):
                    yield tuple(one["input_ids"]), list(one["labels"])
            plain = [line for line in lines if "segments" in line]
            parts = [part for line in plain for part in line["segments"]]
            tokens = iter(chat.all_token_ids([part["text"] for part in parts]))
            for line in plain:
                ids, labels = list[int](), list[int]()
                for part in line["segments"]:
                    found = next(tokens)
                    ids += found
                    is_learned = written.learn_all or part["label"]
                    labels += found if is_learned else [IGNORED] * len(found)
                yield tuple(ids), labels


def _text_of(line: Mapping[str, Any]) -> str:
    return "".join(part["text"] for part in line.get("segments", ()))


def _text(chat: Chat, labels: Sequence[int]) -> str:
    learned = [label for label in labels if label != IGNORED]
    return str(chat.tokenizer.decode(learned, clean_up_tokenization_spaces=False))[:200]


def nats_of(model: Any, rows: Sequence[Row]) -> list[tuple[float, int, float]]:
    """Return minus the log-probability of each row's learned tokens, how many they are, and the same of all tokens."""
    every = _all_nats(model, [row["input_ids"] for row in rows])
    return [_summed(nats, row) for nats, row in zip(every, rows, strict=True)]


def learned_nats(model: Any, rows: Sequence[Row]) -> list[float]:
    """Return of each row the first number of `nats_of`, with no logits of other tokens.

    For models as transformers loads them: some trainers' own cannot be asked for the logits of single places.
    """
    ids = [row["input_ids"] for row in rows]
    learned = [
        [at for at, one in enumerate([*row["labels"]][1:]) if one != IGNORED] for row in rows
    ]
    return [float(nats.sum()) for nats in _nats_behind(model, ids, learned)]


def nats_and_ahead(model: Any, rows: Sequence[Row]) -> tuple[list[tuple[float, int, float]], float]:
    """Return what `nats_of` does, and by how many nats a token the beginning of a row differs with another end.

    Of two rows that begin alike it is their common start; else the longest one's first half passes without the second.
    The rows pass in another order than in their batch, so that one that gets what is another's shows.
    """
    ids = [list(row["input_ids"]) for row in rows]
    common = common_prefix(ids)
    longest = max(range(len(ids)), key=lambda at: len(ids[at]))
    half = ids[longest][: max(2, len(ids[longest]) // 2)]
    begins_alike = len(ids) == PLAIN_ROWS and common >= FEW and min(map(len, ids)) >= common + FEW
    every = _all_nats(model, [*([] if begins_alike else [half]), *reversed(ids)])
    if begins_alike:
        one, other = (nats[: common - 1] for nats in every)
        apart = OF_START * float((one - other).abs().mean())
    else:
        alone = every.pop(0)
        apart = float((every[len(ids) - 1 - longest][: len(alone)] - alone).abs().mean())
    every.reverse()
    return [_summed(nats, row) for nats, row in zip(every, rows, strict=True)], apart


def _all_nats(model: Any, rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    return _nats_behind(model, rows, [range(len(row) - 1) for row in rows])


def _nats_behind(
    model: Any, rows: Sequence[Sequence[int]], places: Sequence[Sequence[int]]
) -> list[torch.Tensor]:
    with torch.no_grad():
        logits = plain_logits(model, rows, places)
    return [
        token_nats(own, torch.tensor([row[at + 1] for at in wanted], device=own.device))
        for own, row, wanted in zip(logits, rows, places, strict=True)
    ]


def _summed(nats: torch.Tensor, row: Row) -> tuple[float, int, float]:
    mask = torch.tensor(list(row["labels"])[1:], device=nats.device) != IGNORED
    return float(nats[mask].sum()), int(mask.sum()), float(nats.sum())


def token_nats(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return minus the log-probability of each token, without the function that the trainer's loss is computed by."""
    numbers = logits.float()
    return numbers.logsumexp(-1) - numbers.gather(-1, tokens[..., None])[..., 0]


@contextlib.contextmanager
def _plain_attention(model: Any) -> Iterator[None]:
    before = attention_of(model)
    if before != SHARED_ATTENTION:
        yield
        return
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def drops_out(model: torch.nn.Module) -> bool:
    """Say whether anything but an adapter is dropped out in training; a new adapter adds nothing yet."""
    dropouts = (
        one
        for name, one in model.named_modules()
        if isinstance(one, torch.nn.Dropout) and "lora" not in name
    )
    config = getattr(model, "config", None)
    of_attention = getattr(config, "attention_dropout", 0.0) or 0.0
    return bool(of_attention) or any(one.p > 0 for one in dropouts)


def optimizer_steps(optimizer: Any) -> int | None:
    """Return the steps that an optimizer counts, the most of any weight; None where it counts none."""
    states = getattr(optimizer, "state", None)
    counts = [
        int(state["step"])
        for state in (states or {}).values()
        if isinstance(state, Mapping) and "step" in state
    ]
    return max(counts, default=None)
