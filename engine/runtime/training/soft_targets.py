"""Learning the probabilities of a teacher beside the answer: the same loss in Axolotl's trainer and in TRL's.

At each learned token, with temperature T, over the K tokens that the teacher finds most probable:

    loss = weight * T^2 * KL(teacher_T || student_T) + (1 - weight) * cross-entropy of the answer

Both are made to sum to 1 over those K, so a student that is its teacher has a divergence of 0. T^2 keeps the size of
the gradient what it is at T = 1 (Hinton et al. 2015). What lies outside the K only the answer's own loss moves.

Validation rows have no targets: their loss is that of the answer alone, by which the checkpoint is chosen.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from engine.errors import StageError
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.rendered_files import IGNORED
from engine.runtime.scoring.likelihood import Pack, learned_logits
from engine.runtime.training.gradients import FOR_THE_LOSS, Batch
from engine.values import Value


@torch.inference_mode()
def targets_of(loaded: LoadedModel, pack: Pack, *, most: int, vocabulary: int) -> list[Targets]:
    """Return the targets of each row of a pack: the `most` likeliest of the first `vocabulary` tokens.

    Rows of the embedding beyond those tokens pad it, and mean nothing. StageError X745 when the teacher's numbers are
    not finite.
    """
    tokens, logs = [], []
    for logits in learned_logits(loaded, pack):
        found = logits[:, :vocabulary].float().log_softmax(-1).topk(min(most, vocabulary), dim=-1)
        tokens.append(found.indices.cpu())
        logs.append(found.values.cpu())
    counts = [sum(row.learned[1:]) for row in pack.rows]
    if not tokens:
        empty = torch.zeros(0, min(most, vocabulary))
        return [Targets(tokens=empty.int(), log_probabilities=empty.half()) for _ in counts]
    together = torch.cat(logs)
    # The least likely of the kept ones may have a probability of 0 in half precision; the likeliest never has.
    if bool(together.isnan().any()) or not bool(together[:, 0].isfinite().all()):
        raise StageError.one(
            "X745",
            "the teacher's probabilities of a row are not numbers",
            path="teacher.model",
            hint="set `backend.precision: fp32`, or name another teacher",
        )
    # As finite numbers: what is impossible is then as good as that.
    logs16 = together.clamp(min=torch.finfo(torch.float16).min).half()
    ids = torch.cat(tokens).int()
    ends = [*accumulate(counts)]
    return [
        Targets(tokens=ids[begin:end], log_probabilities=logs16[begin:end])
        for begin, end in zip([0, *ends], ends, strict=False)
    ]


FILE = "targets.safetensors"
Row = Mapping[str, Sequence[int]]
"""`input_ids` and `labels`, `IGNORED` where nothing is learned."""


class Targets(Value):
    """The most probable tokens at N places, and the logarithms of their probabilities."""

    tokens: torch.Tensor
    """[N, K] int32."""
    log_probabilities: torch.Tensor
    """[N, K] float16."""


class TargetTable:
    """The targets of rows, in memory."""

    def __init__(self, folder: Path) -> None:
        found = load_file(folder / FILE)
        ends = found["ends"].tolist()
        self._places = {
            bytes(key): (begin, end)
            for key, begin, end in zip(found["keys"].numpy(), [0, *ends[:-1]], ends, strict=True)
        }
        self._tokens, self._logs = found["tokens"], found["log_probabilities"]

    def of(self, rows: Sequence[Row]) -> Targets | None:
        """Return what is learned by a batch, row after row; None where one of its rows is not known."""
        places = [self._places.get(row_key(row)) for row in rows]
        if None in places:
            return None
        spans = [slice(*place) for place in places if place is not None]
        return Targets(
            tokens=torch.cat([self._tokens[span] for span in spans]),
            log_probabilities=torch.cat([self._logs[span] for span in spans]),
        )


def row_key(row: Row) -> bytes:
    """Return what stands for a row: the digest of its tokens, and of which are learned."""
    learned = bytes(label != IGNORED for label in row["labels"][1:])
    return sha256(array("i", row["input_ids"]).tobytes() + learned).digest()


def write_table(folder: Path, keys: Sequence[bytes], targets: Sequence[Targets]) -> None:
    """Write the targets of rows into `folder`; a row that is there twice is written once."""
    kept = dict(zip(keys, targets, strict=True))
    counts = [len(one.tokens) for one in kept.values()]
    found: dict[str, Any] = {
        "keys": torch.from_numpy(
            np.frombuffer(b"".join(kept), dtype=np.uint8).copy().reshape(len(kept), -1)
        ),
        "ends": torch.tensor(counts, dtype=torch.int64).cumsum(0),
        "tokens": torch.cat([one.tokens for one in kept.values()]),
        "log_probabilities": torch.cat([one.log_probabilities for one in kept.values()]),
    }
    save_file(found, folder / FILE)


TOKENS, LOGS = FOR_THE_LOSS
"""Keys of a batch besides the model's inputs: [N, K] for its N learned tokens, row after row."""


class Distillation(Value):
    """The share of the loss that is of soft targets, and their temperature."""

    weight: float
    temperature: float


class SoftTargetLoss(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Adds the teacher's probabilities to a trainer's batches and loss.

    Set up after what else changes its batches: they are made as before, and the targets added.
    """

    def __init__(
        self,
        trainer: Any,
        folder: Path,
        how: Distillation,
        report: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Take the place of the trainer's collators and of its loss; the targets stand in `folder`."""
        self._how, self._report = how, report
        self._table = TargetTable(folder)
        self._plain, self._loss = trainer.data_collator, trainer.compute_loss
        self._divergence = self._tokens = 0.0
        # Models that do not take the number of learned tokens return a mean over the batch.
        self._takes_count = bool(trainer.model_accepts_loss_kwargs)
        trainer.compute_loss = self.loss
        trainer.data_collator = self.collate
        # Axolotl has one of its own for evaluations, whose rows have no targets.

    def collate(self, rows: Sequence[Row]) -> Batch:
        # Before the batch is made: collators may take the labels out of the rows.
        found = self._table.of(rows)
        batch: Batch = self._plain(rows)
        if found is None:
            return batch
        return {**batch, TOKENS: found.tokens.long(), LOGS: found.log_probabilities.float()}

    def loss(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the trainer's signature
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the loss of a batch; of one that is evaluated, that of the answers.

        RuntimeError: rows are trained that the teacher was not asked.
        """
        batch = dict(inputs)
        tokens, logs = batch.pop(TOKENS, None), batch.pop(LOGS, None)
        if not model.training:
            return self._loss(
                model, batch, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
            )
        if tokens is None:
            raise RuntimeError("a batch holds rows that the teacher was not asked")
        hard, outputs = self._loss(
            model, batch, return_outputs=True, num_items_in_batch=num_items_in_batch
        )
        apart = divergence(
            answered_logits(outputs.logits, batch), tokens, logs, temperature=self._how.temperature
        )
        self._divergence += float(apart.detach())
        self._tokens += len(tokens)
        counted = num_items_in_batch if self._takes_count else None
        scaled = apart * self._how.temperature**2 / (len(tokens) if counted is None else counted)
        whole = self._how.weight * scaled + (1 - self._how.weight) * hard
        return (whole, outputs) if return_outputs else whole

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if state.is_world_process_zero and self._tokens:
            self._report({"event": "soft_targets", "divergence": self._divergence / self._tokens})
        self._divergence = self._tokens = 0.0


def divergence(
    logits: torch.Tensor, tokens: torch.Tensor, logs: torch.Tensor, *, temperature: float
) -> torch.Tensor:
    """Return the divergence of a student from its teacher, summed over N places, in nats.

    `logits` [N, V] are the student's, `tokens` and `logs` [N, K] the teacher's most probable tokens with the logarithms
    of their probabilities. Both are normalised over these K.
    """
    student = (logits.gather(1, tokens).float() / temperature).log_softmax(-1)
    teacher = (logs / temperature).log_softmax(-1)
    return (teacher.exp() * (teacher - student)).sum()


def answered_logits(logits: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
    """Return [N, V]: the logits by which the learned tokens of a batch are decided, row after row.

    A batch of rows with a shared start has no others; of a plain one, place p decides the token at p + 1.
    """
    if "logits_to_keep" in batch:
        return logits[0]
    return logits[:, :-1][batch["labels"][:, 1:] != IGNORED]
