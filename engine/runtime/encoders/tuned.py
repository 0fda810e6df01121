"""A sentence encoder trained with a classification head on top: one class a text, or a yes or no for each label.

Plain and fixed on purpose, since it is what a tuned language model is compared with: AdamW, a rate of 5e-5 that rises
and falls, the weights of the last step. Rows of about one length share a batch, so that little is padding. The same
rows, seed and machine give the same answers.
"""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from engine.errors import StageError
from engine.progress import Progress
from engine.runtime.encoders.encoder import Encoder, require_lesson
from engine.runtime.encoders.pooling import batches

BATCH = 16
EPOCHS, FEWEST_EPOCHS = 10, 2
MOST_STEPS = 4000
RATE, HEAD_RATE = 5e-5, 1e-3
"""Of the encoder, and of the new head, which starts from nothing."""
WARMUP = 0.1
DECAY = 0.01
DROPOUT = 0.1
MOST_NORM = 1.0
POOL = 8
"""Batches whose rows are sorted by length among each other."""


def tune(
    encoder: Encoder, texts: Sequence[str], labels: np.ndarray, *, seed: int, progress: Progress
) -> TunedEncoder:
    """Train a copy of the encoder.

    `labels` has a label for each text, or a column of 0 and 1 for each label. StageError G522 when the training rows
    teach nothing.
    """
    require_lesson(texts, labels)
    names = None if labels.ndim > 1 else np.unique(labels)
    device = encoder.model.device
    cuda = [device] if device.type == "cuda" else []
    with _deterministic(), torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        tuned = TunedEncoder(encoder, names, width=labels.shape[1] if names is None else len(names))
        tuned.epochs = max(FEWEST_EPOCHS, min(EPOCHS, MOST_STEPS * BATCH // len(texts)))
        targets = torch.from_numpy(
            labels.astype(np.float32) if names is None else np.searchsorted(names, labels)
        )
        loss_of: Callable[..., torch.Tensor] = torch.nn.functional.cross_entropy
        if targets.ndim > 1:
            loss_of = torch.nn.functional.binary_cross_entropy_with_logits
        order = random.Random(seed)  # noqa: S311 - a reproducible order, no secret
        plan = [batch for _ in range(tuned.epochs) for batch in _epoch(texts, order)]
        optimizer, schedule = _optimizer(tuned, len(plan))
        tuned.train()
        for step, places in enumerate(plan, start=1):
            logits = tuned([texts[place] for place in places])
            loss = loss_of(logits, targets[places].to(logits.device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(tuned.parameters(), MOST_NORM)
            optimizer.step()
            schedule.step()
            progress.update(step, len(plan), "steps")
        tuned.steps = len(plan)
    return tuned


class TunedEncoder(torch.nn.Module):
    """A copy of the encoder with a head."""

    def __init__(self, encoder: Encoder, names: np.ndarray | None, *, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = names
        """The label of each output, one of which is the answer; None where each output is a yes or no."""
        self.epochs = self.steps = 0
        self.model = copy.deepcopy(encoder.model)
        self.dropout = torch.nn.Dropout(DROPOUT)
        self.head = torch.nn.Linear(encoder.width, width)
        self.head.to(encoder.model.device)

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        device = self.model.device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.encoder.precision == "bf16"):
            pooled = self.encoder.pooled(self.model, self.encoder.tokens(texts))
        logits: torch.Tensor = self.head(self.dropout(pooled.float()))
        return logits

    def answers(self, texts: Sequence[str]) -> np.ndarray:
        """Return the answers to texts, in the form of the labels. StageError X696 when it computes no numbers."""
        self.eval()
        logits = np.zeros((len(texts), self.head.out_features), dtype=np.float32)
        with _deterministic(), torch.inference_mode():
            for places in batches(texts):
                logits[places] = self([texts[place] for place in places]).cpu().numpy()
        if not np.isfinite(logits).all():
            message = "the encoder cannot be trained: it computes what is no number"
            hint = "set backend.precision: fp32"
            raise StageError.one("X696", message, path="baselines", hint=hint)
        if self.names is None:
            return (logits > 0).astype(int)
        found: np.ndarray = self.names[logits.argmax(axis=1)]
        return found


def _optimizer(tuned: TunedEncoder, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    groups = [
        {"params": list(tuned.model.parameters()), "lr": RATE},
        {"params": list(tuned.head.parameters()), "lr": HEAD_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=DECAY)
    warm = max(1, round(WARMUP * steps))

    def share(step: int) -> float:
        return min((step + 1) / warm, (steps - step) / max(1, steps - warm))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def _epoch(texts: Sequence[str], order: random.Random) -> list[list[int]]:
    places = list(range(len(texts)))
    order.shuffle(places)
    pools = (places[start : start + POOL * BATCH] for start in range(0, len(places), POOL * BATCH))
    found = [
        [pool[place] for place in batch]
        for pool in pools
        for batch in batches([texts[place] for place in pool], BATCH)
    ]
    order.shuffle(found)
    return found


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Let torch take algorithms that give the same sums twice, where it has them."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warns)
