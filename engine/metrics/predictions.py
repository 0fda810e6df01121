"""A model's answers to rows, as values and as JSON lines: the only input of every metric."""

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
    """Id of the example, 16 hex digits; predictions of two models are paired by it."""
    target: str
    label: str | None
    """The label that the output means; None when the output is not an answer of the task."""
    text: str
    """The output as the model wrote it, without the text that ends the turn."""
    probability: float | None
    """Probability of the chosen answer among the allowed ones; None where nothing was chosen."""
    probabilities: tuple[float, ...] = ()
    """Classification: probability of each label, in the task's order; empty where not computed."""
    references: tuple[str, ...] = ()
    """Generation: all right answers, including the target."""
    group: str = ""
    """Rows of one group are not independent: intervals draw whole groups."""
    nats: float | None = None
    """Chat and text: negative log-likelihood of what is learned, natural logarithm."""
    tokens: int = 0
    """Tokens that `nats` is the sum over."""
    bytes: int = 0
    """Bytes of the same text in UTF-8."""
    ended: bool = True
    """The model ended its answer; for chat, it would end its turn after the right answer."""
    margin: float | None = None
    """Preference: reward of the chosen minus that of the rejected answer; of a single one, signed by its thumb."""
    desirable: bool = True
    """Preference: False for a single answer with a thumb down."""
    rejected_nats: float | None = None
    """Preference pairs: `nats` of the rejected answer."""
    rejected_tokens: int = 0
    rejected_bytes: int = 0
    base_nats: tuple[float, ...] = ()
    """Preference: nats of the chosen and the rejected answer by the untouched base model."""


class Judging(Value):
    task: Task
    confidence: float
    seed: int

    @classmethod
    def of(cls, recipe: Recipe) -> Judging:
        """Return how the recipe's holdout is judged."""
        confidence = recipe.acceptance.confidence
        return cls(task=recipe.task, confidence=confidence, seed=recipe.splits.seed)

    @property
    def main(self) -> str:
        return primary(self.task.kind, answer_pattern=self.task.answer_pattern)

    def is_lower_better(self, metric: str) -> bool:
        return is_lower_better(metric, self.task.kind)


def has_shares_of(predictions: Iterable[Prediction], labels: Sequence[str]) -> bool:
    """Tell whether probabilities can be those of the labels in this order: an answer is the most probable one."""
    number = {label: place for place, label in enumerate(labels)}
    for row in predictions:
        shares = row.probabilities
        if shares and len(shares) != len(labels):
            return False
        if shares and row.label in number and shares[number[row.label]] < max(shares) - 1e-9:
            return False
    return True


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write one JSON object a line, without values that are the default."""
    defaults = {field.name: field.default for field in fields(Prediction)}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for prediction in predictions:
            values = to_json(prediction).items()
            own = {name: value for name, value in values if value != defaults[name]}
            # NaN is no JSON: better an error here than in every reader of the file.
            file.write(json.dumps(own, ensure_ascii=False, allow_nan=False) + "\n")


def read_predictions(path: Path) -> list[Prediction]:
    with path.open(encoding="utf-8", newline="\n") as file:
        return [convert(json.loads(line), Prediction) for line in file]
