"""What can be had without fine-tuning: each baseline on the same holdout, before anything is spent."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from engine.artifacts.results import LEFT_OUT, write_json
from engine.artifacts.stage import Payload, StageContext
from engine.inference import predict
from engine.inference.baselines.runner import Asker, Models, facts_of, note, reference_name
from engine.metrics.predictions import Judging, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.recipe.baselines import as_written
from engine.recipe.model import Recipe, Reference
from engine.training.curves import svm_curve
from engine.training.preflight import check_base_model
from engine.training.rendered import render_by_length
from engine.training.soft_targets import refuse_other_tokenizer
from engine.training.trials import folds_in
from engine.values import to_json

REVISION = 10
NEEDS = ("data", "holdout")
USES = ("base_model", "device")
TOOLS = ("numpy", "scikit-learn", "torch", "transformers")

FILE = "baselines.json"
CURVE = "svm_curve.json"


def recipe_slice(recipe: Recipe) -> Payload:
    return {
        "task": predict.task_slice(recipe.task),
        # No thresholds: whether a baseline passes is judged when it is read, so moving a bound
        # asks no model again.
        "baselines": [as_written(baseline) for baseline in recipe.baselines],
        "acceptance": {"confidence": recipe.acceptance.confidence},
        "splits": {"seed": recipe.splits.seed},
    }


def references(recipe: Recipe) -> Mapping[str, Reference]:
    found = ((baseline, baseline.ref or baseline.gguf) for baseline in recipe.baselines)
    return {reference_name(baseline): ref for baseline, ref in found if ref is not None}


def run(context: StageContext) -> None:
    """Write `baselines.json` and `predictions.<name>.jsonl` for each baseline of the recipe.

    With `tfidf_svm` among them also `svm_curve.json`. With folds the predictions are those of all
    rows, each by what was learned without its fold.
    """
    recipe = context.recipe
    folds = folds_in(context)
    base = cache(context.base_model_folder)
    # before anything is asked, as with rows that cannot be trained on
    refuse_other_tokenizer(context)
    check_base_model(context, base())
    render_by_length(context, base())
    asker = Asker(context=context, models=Models(context, base))
    absent = {baseline.name: asker.why_absent(baseline) for baseline in recipe.baselines}
    results: list[dict[str, Any]] = []
    for baseline in [one for one in recipe.baselines if not absent[one.name]]:
        made = [asker.product(baseline, fold) for fold in folds]
        predictions = [row for one in made for row in read_predictions(one.file(predict.FILE))]
        write_predictions(context.workdir / f"predictions.{baseline.name}.jsonl", predictions)
        facts, crossed = facts_of(made), ""
        if len(folds) > 1:
            crossed = f"; {len(folds)} folds, each judged by what never saw it"
        entry = {
            "name": baseline.name,
            "scores": to_json(score(predictions, Judging.of(recipe))),
            "seconds": round(sum(one.seconds for one in made), 3),
            "note": note(baseline, recipe, folds[0], facts, others=folds[1:]) + crossed,
            "facts": facts,
        }
        results.append(entry)
    write_json(context.workdir / FILE, results)
    if any(absent.values()):
        write_json(context.workdir / LEFT_OUT, {name: why for name, why in absent.items() if why})
    if "tfidf_svm" in [baseline.kind for baseline in recipe.baselines]:
        curve = svm_curve(context, train=folds[0].train, validation=folds[0].validation)
        write_json(context.workdir / CURVE, to_json(curve))
