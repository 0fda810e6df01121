"""Validation losses as early stopping counts them: those of the schedule, one a step, however often training went on.

A training that goes on from a checkpoint looks at the validation rows once more before its first step. That is an
entry of the log, and no evaluation that an uninterrupted training would have had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def scheduled_losses(
    log: Sequence[Mapping[str, Any]], *, every: int, steps: int
) -> tuple[float, ...]:
    """Return the losses of the evaluations at multiples of `every`, and at the last of `steps`; not the one at 0."""
    found: dict[int, float] = {}
    for entry in log:
        step = int(entry.get("step", 0))
        if "eval_loss" in entry and step > 0 and (step % max(every, 1) == 0 or step == steps):
            # The first one of a step counts: training that goes on evaluates once more where its checkpoint was.
            found.setdefault(step, float(entry["eval_loss"]))
    return tuple(found[step] for step in sorted(found))


def evaluations_since_best(losses: Sequence[float]) -> int:
    """Return how many evaluations came after the lowest loss; 0 without any."""
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0
