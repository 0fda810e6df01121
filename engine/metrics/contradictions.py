"""What the loss of the trainer says of rows, held against how the same rows are answered outside of it.

A right answer to which a model gives more than half of the probability is the one that is chosen, and a share among
the task's answers is never less than a probability among all texts. So rows that are answered wrongly have a loss of
which a least value is known, and a trainer that counted less spoke of other weights, another prompt or another mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from engine.errors import Problem
from engine.evidence import TrainingSummary
from engine.metrics.predictions import Prediction
from engine.recipe.model import Recipe
from engine.runtime.scoring.label_search import TOLERANCE

LEAST_ROWS: Final = 10
SLACK: Final = 1.25
"""Factor for what is not the same: losses are means of batches, and tokens a row are those of the training rows."""
ROUNDED: Final = 0.1
"""Nats a row besides."""


def loss_against_answers(
    recipe: Recipe, training: TrainingSummary, validation: Sequence[Prediction]
) -> Problem | None:
    """Return B430 where validation rows are answered worse than the validation loss of the same weights allows."""
    measured = [
        one.eval_loss
        for one in training.history
        if one.step == training.kept_step and one.eval_loss is not None
    ]
    is_known = recipe.task.spec.has_labels and recipe.method.loss_on != "everything"
    # the loss of soft targets is a distance from a teacher, and not of the labels
    is_known = is_known and recipe.teacher is None
    if not measured or not training.rows or len(validation) < LEAST_ROWS or not is_known:
        return None
    counted = measured[-1] * training.supervised_tokens / training.rows
    least = nats_at_least(validation)
    if least <= SLACK * counted + ROUNDED:
        return None
    wrong = sum(row.label != row.target for row in validation)
    return Problem(
        code="B430",
        message=f"the trainer counted {counted:.2g} nats an answer of the validation rows at step {training.kept_step},"
        f" and they are answered as if it were {least:.2g} at least: {wrong} of {len(validation)} wrongly",
        path="method",
        hint="no other rows or epochs would help: the mask, the chat template or the adapter are not the same in"
        " training and after it; run again with `--force train`, and report it if it stays",
    )


def nats_at_least(predictions: Sequence[Prediction]) -> float:
    """Return the mean of the least loss that each answer can have, in nats; 0 for a right one."""
    least = 0.0
    for row in predictions:
        if row.label != row.target:
            # What the chosen answer has, the right one has not; and it has no more than the chosen one. Answers that
            # the search left out may hold more than the nothing that is noted for them.
            least -= math.log(min(0.5, 1 - (row.probability or 0.0) + TOLERANCE))
    return least / len(predictions)
