"""What the logged losses of a training say: whether they still fall at its end, and whether validation turned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Final

from engine.evidence import HistoryPoint
from engine.values import Value

FEWEST_LOSSES: Final = 9
"""Logged training losses, three for each third of the steps."""
FALL: Final = 0.05
"""A fall of the training loss from the middle to the last third by this share of it is one, if it exceeds its noise."""
SURELY_FLAT: Final = 0.1
"""A fall that is surely below this share is none: twice this leaves room for the noise of single batches."""
LEARNED: Final = 0.2
"""A training loss that fell by this share since its first steps has learned something."""
RISE: Final = 0.1
"""A validation loss that ends higher than its minimum by this share of it has risen."""
FEWEST_EVALUATIONS: Final = 3


class TrainingLosses(Value):
    """Means of the training loss over parts of the steps."""

    start: float
    """Over the first tenth."""
    middle: float
    """Over the middle third."""
    end: float
    """Over the last third."""
    noise: float
    """Standard error of `middle - end`."""

    @property
    def is_falling(self) -> bool:
        """It fell from the middle to the last third, beyond the noise of batches."""
        return self.middle - self.end > max(FALL * self.middle, 2 * self.noise)

    @property
    def is_flat(self) -> bool:
        """It surely hardly fell."""
        return self.middle - self.end + 2 * self.noise < SURELY_FLAT * self.middle

    @property
    def has_learned(self) -> bool:
        """It is well below where it began."""
        return self.end < (1 - LEARNED) * self.start

    @property
    def has_diverged(self) -> bool:
        """It ended above where it began, beyond noise."""
        return self.end - self.start > max(FALL * self.start, 2 * self.noise)


class ValidationLosses(Value):
    """The course of the validation loss."""

    lowest: float
    lowest_step: int
    last: float
    last_step: int
    has_risen: bool
    """After its minimum."""
    is_falling: bool
    """The last is the lowest, and well below what it was at two thirds of the steps."""


def training_losses(history: Sequence[HistoryPoint]) -> TrainingLosses | None:
    """Return the course of the training loss; None where too few were logged."""
    losses = [point.loss for point in history if point.loss is not None]
    if len(losses) < FEWEST_LOSSES:
        return None
    third = len(losses) // 3
    middle, end = losses[third : 2 * third], losses[2 * third :]
    errors = (stdev(part) / math.sqrt(len(part)) for part in (middle, end))
    return TrainingLosses(
        start=fmean(losses[: max(1, len(losses) // 10)]),
        middle=fmean(middle),
        end=fmean(end),
        noise=math.hypot(*errors),
    )


def validation_losses(history: Sequence[HistoryPoint]) -> ValidationLosses | None:
    """Return the course of the validation loss; None where it was measured fewer than three times."""
    measured = [(point.step, point.eval_loss) for point in history if point.eval_loss is not None]
    if len(measured) < FEWEST_EVALUATIONS:
        return None
    lowest_step, lowest = min(measured, key=lambda one: (one[1], one[0]))
    last_step, last = measured[-1]
    before = [loss for step, loss in measured if 3 * step <= 2 * last_step]
    return ValidationLosses(
        lowest=lowest,
        lowest_step=lowest_step,
        last=last,
        last_step=last_step,
        has_risen=lowest_step < last_step and last >= (1 + RISE) * lowest,
        is_falling=lowest_step == last_step and bool(before) and last <= (1 - FALL) * before[-1],
    )
