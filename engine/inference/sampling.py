"""Which rows of train and validation a model is asked, where asking all would cost too much."""

from __future__ import annotations

from collections.abc import Sequence

from engine.data.examples.example import Example
from engine.data.splitting.subsets import beginning
from engine.recipe.model import Recipe, Task

TRAIN_SAMPLE = 200
"""Training rows that are asked, at most; two a label where that is more."""
WRITTEN_SAMPLE = 100
"""Of train and of validation, where each answer is written out, token by token."""


def sample_rows(rows: Sequence[Example], task: Task, *, seed: int) -> list[Example]:
    """Draw rows by seed: every label at its share, none left out, in file order."""
    most = WRITTEN_SAMPLE if task.spec.is_written_out else TRAIN_SAMPLE
    return beginning(rows, max(most, 2 * len(task.labels)), seed=seed)


def judged_validation(rows: Sequence[Example], recipe: Recipe) -> list[Example]:
    """Return the validation rows that are asked: all of them where answers are short."""
    if not recipe.task.spec.is_written_out:
        return list(rows)
    return sample_rows(rows, recipe.task, seed=recipe.splits.seed)
