"""The curve over the steps of a training: each kept checkpoint on the same validation rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example
from engine.data.splitting.subsets import beginning
from engine.evidence import CheckpointScore, Metric, TrainingSummary
from engine.files.reading import read_json
from engine.inference import predict
from engine.inference.predict import PredictionInputs
from engine.inference.preference import rated, reference_of
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.recipe.metrics import primary
from engine.training.train import CHECKPOINTS, SUMMARY, load_trained
from engine.training.trials import digest_of
from engine.training.variants import machine
from engine.values import from_json, to_json

FILE = "checkpoints.json"
MOST_ROWS = 200
"""Validation rows that each checkpoint is asked."""


def write_curve(
    context: StageContext,
    asked: PredictionInputs,
    rows: Sequence[Example],
    *,
    final: Sequence[Prediction],
) -> None:
    """Write `checkpoints.json`: the kept steps in order, each with losses and metric; [] where none can be.

    `rows` are the validation rows, `final` what the model itself answered on them.
    """
    trained, scores = context.artifacts["train"], list[CheckpointScore]()
    # Without the model's own.
    steps = sorted(int(path.name) for path in (trained.path / CHECKPOINTS).glob("*"))
    if rows and steps:
        summary = from_json(TrainingSummary, read_json(trained.file(SUMMARY)))
        sample = beginning(rows, MOST_ROWS, seed=context.recipe.splits.seed)
        drawn = {row.id for row in sample}
        # The kept step is the model itself, which has answered all of these rows already.
        predictions = {summary.kept_step: [one for one in final if one.id in drawn]}
        for step in steps:
            predictions[step] = _predictions(step, context, asked, sample)
        scores = [_score(step, predictions[step], summary, context) for step in sorted(predictions)]
    elif rows and context.recipe.method.kind == "full":
        context.progress.note("no curve over the steps: full training keeps one checkpoint")
    text = json.dumps([to_json(one) for one in scores], indent=1, allow_nan=False)
    (context.workdir / FILE).write_text(text + "\n", encoding="utf-8")


def _predictions(
    step: int, context: StageContext, asked: PredictionInputs, rows: Sequence[Example]
) -> list[Prediction]:
    payload = {
        "revision": predict.REVISION,
        "set": f"step {step}",
        # An id is a digest of the row's content, so the ids say which rows were asked.
        "rows": digest_of(rows),
        "data": context.inputs["data"],
        "model": context.inputs["train"],
        "base_model": context.base_model,
        "asked": asked.payload(),
        "shares": False,
        **machine(context),
    }

    def build(folder: Path) -> None:
        base = reference_of(context, asked, rows)
        loaded = load_trained(context.artifacts["train"], context, step=step)
        progress = context.progress_of(f"step {step}")
        # the curve is of the metric alone, which needs no probabilities
        predictions = predict.judged(loaded, asked, rows, progress=progress, shares=False)
        write_predictions(folder / predict.FILE, rated(predictions, asked, base))

    return read_predictions(context.cached("predictions", payload, build).file(predict.FILE))


def _score(
    step: int, predictions: Sequence[Prediction], summary: TrainingSummary, context: StageContext
) -> CheckpointScore:
    recipe = context.recipe
    name = primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)
    scores = score(predictions, Judging.of(recipe))
    metric = next((one for one in scores.metrics if one.name == name), None)
    points = [one for one in summary.history if one.step <= step]
    losses = [one.loss for one in points if one.loss is not None]
    looked_at = [(one.step, one.eval_loss) for one in points if one.eval_loss is not None]
    # The last training loss up to the step, and the validation loss at it.
    at_step = looked_at[-1][1] if looked_at and looked_at[-1][0] == step else None
    return CheckpointScore(
        step=step,
        epoch=points[-1].epoch if points else 0.0,
        loss=losses[-1] if losses else None,
        eval_loss=at_step,
        metric=metric or Metric(name=name, value=None, n=0, undefined="not measured"),
    )
