"""Answers only: the same training on the same rows without the soft targets, to be seen beside it.

The gate has judged the model before; nothing here decides, and nothing says which way is better in general. Only
the answers to the holdout are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.artifacts.results import write_json
from engine.artifacts.stage import Payload, StageContext
from engine.evidence import SoftAgainstAnswers, to_json
from engine.inference import predict
from engine.metrics.comparing import comparisons_with, corrected
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.recipe.methods import method_slice
from engine.recipe.model import Recipe
from engine.recipe.teacher import without_soft_targets
from engine.training.train import load_weights, refuse_unready
from engine.training.variants import trained, training_slice, variant

REVISION = 6
NEEDS = ("data", "training_rows", "holdout", "evaluate")
AFTER = ("gate",)
USES = ("base_model", "device", "kernels")
TOOLS = ("numpy", "peft", "torch", "transformers")

FILE = "answers_only.json"
PREDICTIONS = "predictions.answers_only.jsonl"
PRODUCT = "answers_only"


def recipe_slice(recipe: Recipe) -> Payload:
    """Return what rows, training and answers depend on."""
    return {
        "method": method_slice(replace(recipe.method, seeds=())),
        **training_slice(without_soft_targets(recipe)),
    }


def run(context: StageContext) -> None:
    """Write `answers_only.json`, and what the second model answers.

    Raises:
        EnvironmentProblem: B402, B403, B408-B410 this machine cannot train the recipe.
        StageError: B411-B418 the training failed, or what it left cannot be believed.

    """
    from engine.metrics.paired import pair  # brings numpy

    refuse_unready(context)
    recipe = without_soft_targets(context.recipe)
    soft = read_predictions(context.artifacts["evaluate"].file("predictions.holdout.jsonl"))
    answers = _answers(replace(context, recipe=recipe))
    write_predictions(context.workdir / PREDICTIONS, answers)
    judging = Judging.of(recipe)
    found = SoftAgainstAnswers(
        answers=score(answers, judging),
        comparisons=corrected(
            comparisons_with("answers", pair(soft, answers, judging), [judging.main])
        ),
    )
    write_json(context.workdir / FILE, to_json(found))


def _answers(context: StageContext) -> Sequence[Prediction]:
    """Train without soft targets and ask the holdout, go on with that, or find it done."""
    holdout = context.examples("holdout")
    method = replace(context.recipe.method, seeds=())
    one = variant(method, context.for_training(), of="answers only")
    asked = predict.PredictionInputs.of(one.context.recipe, context.examples("train"))
    payload = {
        "revision": (REVISION, predict.REVISION),
        "holdout": context.inputs["holdout"],
        "asked": asked.payload(),
        **one.identity(),
    }

    def build(folder: Path) -> None:
        result = trained(one, context.scratch_for(PRODUCT, payload))
        loaded = load_weights(result, one.context)
        predictions = predict.judged(loaded, asked, holdout, progress=one.context.progress)
        write_predictions(folder / predict.FILE, predictions)

    return read_predictions(context.cached(PRODUCT, payload, build).file(predict.FILE))
