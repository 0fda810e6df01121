"""Curves of the metric: over the kept steps of a training, and of the SVM over parts of the training rows."""

from collections.abc import Sequence
from pathlib import Path

from engine.artifacts.results import write_json
from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example
from engine.data.splitting.subsets import beginning, inner_folds, share
from engine.environment import version_of
from engine.errors import StageError
from engine.evidence import CheckpointScore, LearningCurve, Metric, TrainingSummary
from engine.files.reading import read_json
from engine.inference import predict
from engine.inference.baselines.floors import svm
from engine.inference.predict import PredictionInputs
from engine.inference.preference import rated, reference_of
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.metrics.sweeping import SHARES, ShareResult, learning_curve, unknown_curve
from engine.recipe.metrics import primary
from engine.recipe.model import Recipe
from engine.training.train import CHECKPOINTS, SUMMARY, load_trained
from engine.training.trials import digest_of, machine
from engine.values import from_json, to_json

MODEL = "tfidf_svm"
REVISION = 2
"""Bumped when the same rows would now give other predictions."""
INNER_FOLDS = 5


def svm_curve(
    context: StageContext, *, train: Sequence[Example], validation: Sequence[Example]
) -> LearningCurve:
    """Return the curve of the SVM at 25, 50 and 100 % of the training rows; never judged on the holdout."""
    recipe = context.recipe
    judged_on = "validation" if validation else f"{INNER_FOLDS}-fold inside the training rows"
    reason = _why_none(context, train, crossed=not validation)
    if reason:
        return unknown_curve(MODEL, judged_on=judged_on, reason=reason)
    payload = {
        "revision": REVISION,
        "data": context.inputs["data"],
        "seed": recipe.splits.seed,
        "versions": {"scikit-learn": version_of("scikit-learn")},
    }

    def build(folder: Path) -> None:
        for part in SHARES:
            predictions = _svm_answers(recipe, train, validation, part=part)
            write_predictions(folder / _file(part), predictions)

    try:
        made = context.cached("svm_curve", payload, build)
    # A hint never ends a run.
    except StageError as error:
        return unknown_curve(MODEL, judged_on=judged_on, reason=error.problems[0].message)
    judged = []
    for part in SHARES:
        found, rows = read_predictions(made.file(_file(part))), round(part * len(train))
        judged.append(ShareResult(share=part, rows=rows, predictions=found))
    return learning_curve(MODEL, judged, Judging.of(recipe), judged_on=judged_on)


def _file(part: float) -> str:
    return f"predictions.{round(100 * part)}.jsonl"


def _why_none(context: StageContext, train: Sequence[Example], *, crossed: bool) -> str:
    """Say why the smallest part would be no training at all; empty where it is one."""
    labels, seed = context.recipe.task.labels, context.recipe.splits.seed
    # Where rows are cross-validated, each model learns from four of five parts.
    smallest = SHARES[0] * len(train) * (1 - 1 / INNER_FOLDS if crossed else 1)
    if smallest < len(labels):
        return f"25 % of {len(train)} training rows are fewer than the {len(labels)} labels"
    if crossed and not inner_folds(train, INNER_FOLDS, seed=seed):
        return "the training rows are all of one group, or one text: none can be held apart"
    return ""


def _svm_answers(
    recipe: Recipe, train: Sequence[Example], validation: Sequence[Example], *, part: float
) -> list[Prediction]:
    seed = recipe.splits.seed
    folds = [(train, validation)]
    if not validation:
        pairs = [*zip(train, inner_folds(train, INNER_FOLDS, seed=seed), strict=True)]
        folds = [
            (
                [row for row, number in pairs if number != fold],
                [row for row, number in pairs if number == fold],
            )
            for fold in range(INNER_FOLDS)
        ]
    return [
        row
        for learned, judged in folds
        for row in svm(share(learned, part, seed=seed), judged, recipe.task, seed=seed)
    ]


FILE = "checkpoints.json"
MOST_ROWS = 200


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
    write_json(context.workdir / FILE, [to_json(one) for one in scores], indent=1)


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
        metric=metric or Metric.missing(name),
    )
