"""The free hint: the SVM's learning curve, in seconds, before anything is spent.

Judged on the validation rows; without any, cross-validated inside the training rows. Never on the
holdout, so that looking at the curve decides nothing there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example
from engine.data.splitting.subsets import inner_folds, share
from engine.environment import version_of
from engine.errors import StageError
from engine.evidence import LearningCurve
from engine.inference.baselines.floors import svm
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.sweeping import SHARES, ShareResult, learning_curve, unknown_curve
from engine.recipe.model import Recipe

MODEL = "tfidf_svm"
REVISION = 2
"""Bumped when the same rows would now give other predictions."""
INNER_FOLDS = 5


def svm_curve(
    context: StageContext, *, train: Sequence[Example], validation: Sequence[Example]
) -> LearningCurve:
    """Return the curve of the SVM at 25, 50 and 100 % of the training rows."""
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
            predictions = _predictions(recipe, train, validation, part=part)
            write_predictions(folder / _file(part), predictions)

    try:
        made = context.cached("svm_curve", payload, build)
    # A hint never ends a run.
    except StageError as error:
        return unknown_curve(MODEL, judged_on=judged_on, reason=error.problems[0].message)
    judged = [
        ShareResult(
            share=part,
            rows=round(part * len(train)),
            predictions=read_predictions(made.file(_file(part))),
        )
        for part in SHARES
    ]
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


def _predictions(
    recipe: Recipe, train: Sequence[Example], validation: Sequence[Example], *, part: float
) -> list[Prediction]:
    seed = recipe.splits.seed
    folds = [(train, validation)] if validation else []
    numbers = () if validation else inner_folds(train, INNER_FOLDS, seed=seed)
    for fold in range(0 if validation else INNER_FOLDS):
        pairs = [*zip(train, numbers, strict=True)]
        learned = [row for row, number in pairs if number != fold]
        folds.append((learned, [row for row, number in pairs if number == fold]))
    return [
        row
        for learned, judged in folds
        for row in svm(share(learned, part, seed=seed), judged, recipe.task, seed=seed)
    ]
