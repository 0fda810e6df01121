"""Learning the probabilities of a teacher beside the answer: the same loss in Axolotl's trainer and in TRL's.

At each learned token, with temperature T, over the K tokens that the teacher finds most probable:

    loss = weight * T^2 * KL(teacher_T || student_T) + (1 - weight) * cross-entropy of the answer

Both are made to sum to 1 over those K, so a student that is its teacher has a divergence of 0. T^2 keeps the size of
the gradient what it is at T = 1 (Hinton et al. 2015). What lies outside the K only the answer's own loss moves.

Validation rows have no targets: their loss is that of the answer alone, by which the checkpoint is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from engine.runtime.rendering.packing import IGNORED
from engine.runtime.training.gradients import FOR_THE_LOSS, Batch
from engine.runtime.training.target_table import Row, TargetTable
from engine.values import Value

TOKENS, LOGS = FOR_THE_LOSS
"""Of a batch, beside what the model reads: [N, K] for its N learned tokens, row after row."""


class Distillation(Value):
    """How much of the loss are the soft targets, and at which temperature."""

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
        """Return rows as one batch, with their targets where all of them have some."""
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

        Raises:
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
            learned_logits(outputs.logits, batch), tokens, logs, temperature=self._how.temperature
        )
        self._divergence += float(apart.detach())
        self._tokens += len(tokens)
        counted = num_items_in_batch if self._takes_count else None
        scaled = apart * self._how.temperature**2 / (len(tokens) if counted is None else counted)
        whole = self._how.weight * scaled + (1 - self._how.weight) * hard
        return (whole, outputs) if return_outputs else whole

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Report how far the student was from its teacher, in nats a token."""
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


def learned_logits(logits: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
    """Return [N, V]: the logits by which the learned tokens of a batch are decided, row after row.

    A batch of rows with a shared start has no others; of a plain one, place p decides the token at p + 1.
    """
    if "logits_to_keep" in batch:
        return logits[0]
    return logits[:, :-1][batch["labels"][:, 1:] != IGNORED]
