"""What a model answered to each row, as values and as JSON lines; the only input of every metric."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import convert

from engine.recipe.metrics import is_lower_better, primary
from engine.recipe.model import Recipe, Task
from engine.values import Value, fields, to_json


class Prediction(Value):
    id: str
    """Of the example, 16 hex digits; predictions of two models are paired by it."""
    target: str
    label: str | None
    """The label the output stands for; None when the output is not an answer of the task."""
    text: str
    """The output as the model wrote it, without the text that ends the turn."""
    probability: float | None
    """Of the chosen answer among the allowed ones, 0 to 1; None where nothing was chosen."""
    probabilities: tuple[float, ...] = ()
    """Classification: of every label, in the task's order; empty where they were not asked for."""
    references: tuple[str, ...] = ()
    """Generation: every right answer, the target among them."""
    group: str = ""
    """Rows of one group are not independent: intervals draw whole groups."""
    nats: float | None = None
    """Chat and text: negative log-likelihood of what is learned, natural logarithm."""
    tokens: int = 0
    """That `nats` is the sum over."""
    bytes: int = 0
    """Of the same text in UTF-8."""
    ended: bool = True
    """The model ended its answer by itself; for chat, it would end its turn after the right answer."""
    margin: float | None = None
    """Preference: how much higher the reward of the chosen answer is, or which way that of a single one points."""
    desirable: bool = True
    """Preference: False for a single answer with a thumb down."""
    rejected_nats: float | None = None
    """Preference pairs: of the rejected answer, as `nats` are of the chosen one."""
    rejected_tokens: int = 0
    rejected_bytes: int = 0
    base_nats: tuple[float, ...] = ()
    """Preference: the same of the untouched base model: of the chosen answer, and of the rejected one."""


class Judging(Value):
    task: Task
    confidence: float
    seed: int

    @classmethod
    def of(cls, recipe: Recipe) -> Judging:
        """As the recipe's holdout is judged."""
        confidence, seed = recipe.acceptance.confidence, recipe.splits.seed
        return cls(task=recipe.task, confidence=confidence, seed=seed)

    @property
    def main(self) -> str:
        return primary(self.task.kind, answer_pattern=self.task.answer_pattern)

    def is_lower_better(self, metric: str) -> bool:
        return is_lower_better(metric, self.task.kind)


def has_shares_of(predictions: Iterable[Prediction], labels: Sequence[str]) -> bool:
    """Tell whether probabilities can be those of the labels in this order: an answer is the most probable one."""
    number = {label: place for place, label in enumerate(labels)}
    return all(
        len(row.probabilities) == len(labels)
        and (
            row.label not in number
            or row.probabilities[number[row.label]] >= max(row.probabilities) - 1e-9
        )
        for row in predictions
        if row.probabilities
    )


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write one JSON object a line, UTF-8, in the order given, without what is as by default."""
    defaults = {field.name: field.default for field in fields(Prediction)}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for prediction in predictions:
            given = to_json(prediction)
            own = {name: value for name, value in given.items() if value != defaults[name]}
            # NaN is no JSON: better an error here than in every reader of the file.
            file.write(json.dumps(own, ensure_ascii=False, allow_nan=False) + "\n")


def read_predictions(path: Path) -> list[Prediction]:
    with path.open(encoding="utf-8", newline="\n") as file:
        return [convert(json.loads(line), Prediction) for line in file]
