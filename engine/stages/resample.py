"""Resample: train again on other rows of the same data, in the same way, and judge what comes out."""

from collections.abc import Sequence

from engine.artifacts.results import ANSWERS_WITHOUT, write_json
from engine.artifacts.stage import Payload, StageContext
from engine.data.examples.example import Example
from engine.data.splitting.subsets import share
from engine.evidence import LearningCurve
from engine.inference import predict
from engine.inference.cached import judged_validation
from engine.metrics.predictions import Judging, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.metrics.sweeping import SHARES, ShareResult, learning_curve, unknown_curve
from engine.recipe.model import Recipe
from engine.training.train import SUMMARY, refuse_unready
from engine.training.trials import (
    Part,
    Trial,
    digest_of,
    folds_in,
    rows_left,
    run_trial,
    run_trials,
    training_slice,
    variant,
)
from engine.values import replace, to_json

REVISION = 10
NEEDS = ("data", "synthetic_rows", "training_rows", "replayed_rows", "soft_targets", "evaluate")
USES = ("base_model", "device", "kernels")
TOOLS = ("numpy", "peft", "torch", "transformers")

PRODUCT = "resampled"
CURVE = "curve.json"
SCORES = "folds.json"
PREDICTIONS = {"folds": "predictions.folds.jsonl", "free": "predictions.folds_free.jsonl"}


def also_needs(recipe: Recipe) -> tuple[str, ...]:
    """Return `holdout` with folds, whose rows the other folds train on, and where a second model answers it.

    A curve never sees it.
    """
    needs = recipe.splits.folds or recipe.acceptance.over_without_synthetic
    return ("holdout",) if needs else ()


def recipe_slice(recipe: Recipe) -> Payload:
    return {
        **training_slice(recipe),
        "learning_curve": recipe.learning_curve,
        "splits": {"folds": recipe.splits.folds, "seed": recipe.splits.seed},
        "method": to_json(replace(recipe.method, seeds=())),
        # since the parts of rows without labels are drawn by seed, and with both thumbs
        **({"parts": 2} if recipe.learning_curve and not recipe.task.spec.has_labels else {}),
        # which metrics are bounded the gate knows; only where there is one, so that other keys stay
        **({"without_synthetic": True} if recipe.acceptance.over_without_synthetic else {}),
    }


def run(context: StageContext) -> None:
    """Write `curve.json` for a learning curve; `folds.json` and their predictions for folds; other answers.

    Raises as `seeds`.
    """
    refuse_unready(context)
    if context.recipe.acceptance.over_without_synthetic:
        train, validation, holdout = map(context.examples, ("train", "validation", "holdout"))
        rows = Part(train=train, validation=validation)
        trial = _trial("without synthetic rows", rows, holdout, context)
        found = run_trial(trial, context).answers["chosen"]
        write_predictions(context.workdir / ANSWERS_WITHOUT, found)
    context = context.for_training()
    if context.recipe.learning_curve:
        write_json(context.workdir / CURVE, to_json(_curve(context)))
    if context.recipe.splits.folds:
        _cross_validate(context)


def _trial(
    name: str,
    part: Part,
    rows: Sequence[Example],
    context: StageContext,
    ways: tuple[str, ...] = ("chosen",),
) -> Trial:
    key = {"revision": predict.REVISION, "ways": ways, "rows": digest_of(rows)}
    return Trial(
        name=name,
        product=PRODUCT,
        recipe=context.recipe,
        learned=part.train,
        rows=rows,
        key={**key, "data": context.inputs["data"]},
        part=part,
        ways=ways,
        also_kept=(SUMMARY,),
    )


def _curve(context: StageContext) -> LearningCurve:
    recipe = context.recipe
    train, validation = context.examples("train"), context.examples("validation")
    if not validation:
        return unknown_curve("tuned", judged_on="validation", reason="there are no validation rows")
    asked, seed = judged_validation(validation, recipe), recipe.splits.seed
    trials = [
        _trial(
            f"{size:.0%} of the rows",
            Part(train=share(train, size, seed=seed), validation=validation),
            asked,
            context,
        )
        for size in SHARES[:-1]
    ]
    judged = [
        ShareResult(share=size, rows=one.trained_on, predictions=one.answers["chosen"])
        for size, one in zip(SHARES[:-1], run_trials(trials, context), strict=True)
    ]
    whole = read_predictions(context.artifacts["evaluate"].file("predictions.validation.jsonl"))
    rendered = variant(recipe.method, context, of="all rows", quiet=True).rendered
    trained_on = rows_left(len(train), rendered)
    judged.append(ShareResult(share=SHARES[-1], rows=trained_on, predictions=whole))
    return learning_curve("tuned", judged, Judging.of(recipe), judged_on="validation")


def _cross_validate(context: StageContext) -> None:
    evaluated, recipe = context.artifacts["evaluate"], context.recipe
    predictions = {"folds": read_predictions(evaluated.file("predictions.holdout.jsonl"))}
    if recipe.task.spec.is_constrained:
        predictions["free"] = read_predictions(evaluated.file("predictions.free.jsonl"))
    ways, folds = ("chosen", "free")[: len(predictions)], folds_in(context)
    # Counted from 0 in the rows, and from 1 for people: the first is the holdout, which the run's model has answered.
    trials = [
        _trial(
            f"fold {fold.number + 1} of {len(folds)}",
            Part(train=fold.train, validation=fold.validation),
            fold.judged,
            context,
            ways,
        )
        for fold in folds[1:]
    ]
    for found in run_trials(trials, context):
        for way, so_far in zip(ways, predictions.values(), strict=True):
            so_far.extend(found.answers[way])
    scores: dict[str, object] = dict.fromkeys(PREDICTIONS)
    for name, rows in predictions.items():
        write_predictions(context.workdir / PREDICTIONS[name], rows)
        scores[name] = to_json(score(rows, Judging.of(recipe)))
    write_json(context.workdir / SCORES, scores)
