"""What a baseline is asked, and its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.data.splitting.subsets import Fold
from engine.inference.predict import PredictionInputs, Shot, asked_turns
from engine.kinds import AnswerForm
from engine.metrics.predictions import Prediction
from engine.recipe.model import Baseline, Task
from engine.recipe.prompt import answer_text
from engine.values import Value, field

SEEDS = 1 << 31
"""Servers take seeds below it."""


class Question(Value):
    """The judged rows of a fold, put to a model."""

    baseline: Baseline
    asked: PredictionInputs
    fold: Fold
    shots: Sequence[Sequence[Shot]]

    @property
    def task(self) -> Task:
        return self.asked.task

    def turns(self) -> list[list[Mapping[str, Any]]]:
        pairs = zip(self.fold.judged, self.shots, strict=True)
        return [asked_turns(self.task, row, own) for row, own in pairs]

    def longest_answer(self) -> int:
        """Return the bytes of the longest right answer: no tokenizer makes more tokens of it."""
        rows = self.fold.train
        known = self.task.labels if self.task.spec.answer is AnswerForm.LABEL else ()
        answers = (answer_text(self.task, one) for one in known or [row.target for row in rows])
        return max((len(answer.encode()) for answer in answers), default=0)


class SeededDraws(Value):
    """Answers that a server draws at a temperature; a row's seed is its place among all rows."""

    temperature: float
    first_seed: int

    def seeds(self, rows: int) -> tuple[int, ...]:
        return tuple((self.first_seed + place) % SEEDS for place in range(rows))


class BaselinePredictions(Value):
    """A baseline's predictions on all rows, and how they were made."""

    predictions: list[Prediction]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON data, stored beside the predictions: `remarks`, `constrained`, counts of tokens, …"""
