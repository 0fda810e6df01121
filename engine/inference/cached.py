"""Predictions of one form of the model on the holdout, made at most once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.artifacts.stage import Payload, StageContext
from engine.data.examples.example import Example
from engine.data.splitting.subsets import beginning
from engine.files.reading import read_json
from engine.inference import predict
from engine.metrics.predictions import Prediction, read_predictions, write_predictions
from engine.recipe.metrics import FREE
from engine.recipe.model import Recipe, Task
from engine.values import Value

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


@dataclass(slots=True, kw_only=True)
class Stopwatch:
    """Seconds since it was made."""

    kind: str
    """Of the device: `cpu`, `cuda`, …"""
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self._clock()

    @property
    def _clock(self) -> Callable[[], float]:
        # answers are texts when they come, so nothing is still under way on a GPU
        return time.process_time if self.kind == "cpu" else time.perf_counter

    def seconds(self) -> float:
        return self._clock() - self._started


REVISION = 3
FACTS = "facts.json"


class Predictions(Value):
    """One model's predictions on the holdout."""

    judged: list[Prediction]
    """As `predict.judged` returns them."""
    free: list[Prediction]
    facts: Mapping[str, Any]


def predict_merged(
    context: StageContext, examples: Sequence[Example], asked: predict.PredictionInputs
) -> Predictions:
    """Return the merged model's predictions; free decoding only where a bound is on what it shows."""
    export = context.recipe.export
    bounds = [drop.metric for drop in export.max_drops]
    if "safetensors" in export.formats:
        bounds += [bound.metric for bound in context.recipe.acceptance.metrics]
    with_free = asked.task.spec.is_constrained and not {*FREE}.isdisjoint(bounds)
    precision = context.precision
    payload = {
        "model": context.inputs["merge"],
        "device": context.device.kind,
        "precision": precision,
        # answers without free ones must not be taken where these are asked for
        "free": with_free,
        "asks": predict.REVISION,
    }

    def build(folder: Path) -> None:
        from engine.runtime.models.load import load_model  # brings torch

        model = context.artifacts["merge"].file("model")
        loaded = load_model(model, device=context.device, precision=precision)
        progress = context.progress_of("merged")
        if with_free:
            judged, free = predict.judged_and_free(loaded, asked, examples, progress=progress)
        else:
            judged, free = predict.judged(loaded, asked, examples, progress=progress), []
        store_predictions(folder, judged, free, {})

    return cached_predictions(context, "merged", asked, payload, build)


def cached_predictions(
    context: StageContext,
    name: str,
    asked: predict.PredictionInputs,
    payload: Payload,
    build: Callable[[Path], None],
) -> Predictions:
    """Return predictions, made at most once for this model, holdout and task."""
    made = context.cached(
        "predictions",
        {
            "of": name,
            "revision": REVISION,
            "holdout": context.inputs["holdout"],
            "asked": asked.payload(),
            **payload,
        },
        build,
    )
    return Predictions(
        judged=read_predictions(made.file("chosen.jsonl")),
        free=read_predictions(made.file("free.jsonl")),
        facts=read_json(made.file(FACTS)),
    )


def store_predictions(
    folder: Path,
    judged: Sequence[Prediction],
    free: Sequence[Prediction],
    facts: Mapping[str, Any],
) -> None:
    """Write what `cached_predictions` reads back."""
    write_predictions(folder / "chosen.jsonl", judged)
    write_predictions(folder / "free.jsonl", free)
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
