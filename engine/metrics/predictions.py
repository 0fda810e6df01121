"""What a model said for each row, as values and as JSON lines; the only input of every metric."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One row's answer beside its target."""

    id: str
    """Of the example, 16 hex digits; predictions of two models are paired by it."""
    target: str
    """The true label."""
    label: str | None
    """The label the output stands for; None when the output is not an answer of the task."""
    text: str
    """The output as the model wrote it, without the text that ends the turn."""
    probability: float | None
    """Of the chosen answer among the allowed ones, 0 to 1; None where nothing was chosen."""


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write one JSON object a line, UTF-8, in the order given."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for prediction in predictions:
            file.write(json.dumps(asdict(prediction), ensure_ascii=False, allow_nan=False) + "\n")


def read_predictions(path: Path) -> list[Prediction]:
    """Read back what `write_predictions` wrote, in file order."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return [Prediction(**json.loads(line)) for line in file]
