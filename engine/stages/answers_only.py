"""Answers only: the same training on the same rows without the soft targets, to be seen beside it."""

from engine.artifacts.results import write_json
from engine.artifacts.stage import Payload, StageContext
from engine.evidence import SoftAgainstAnswers
from engine.metrics.comparing import compare_with
from engine.metrics.predictions import Judging, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.recipe.methods import method_slice
from engine.recipe.model import Recipe
from engine.recipe.teacher import without_soft_targets
from engine.training.train import refuse_unready
from engine.training.trials import holdout_trial, run_trial, training_slice
from engine.values import replace, to_json

REVISION = 6
NEEDS = ("data", "training_rows", "holdout", "evaluate")
AFTER = ("gate",)
USES = ("base_model", "device", "kernels")
TOOLS = ("numpy", "peft", "torch", "transformers")

FILE = "answers_only.json"
PREDICTIONS = "predictions.answers_only.jsonl"
PRODUCT = "answers_only"


def recipe_slice(recipe: Recipe) -> Payload:
    return {
        "method": method_slice(replace(recipe.method, seeds=())),
        **training_slice(without_soft_targets(recipe)),
    }


def run(context: StageContext) -> None:
    """Write `answers_only.json`, and what the second model answers. Raises as `seeds`."""
    refuse_unready(context)
    recipe = without_soft_targets(context.recipe)
    soft = read_predictions(context.artifacts["evaluate"].file("predictions.holdout.jsonl"))
    plain = replace(recipe, method=replace(recipe.method, seeds=()))
    trial = holdout_trial("answers only", context, plain, product=PRODUCT, revision=REVISION)
    answers = run_trial(trial, context.for_training()).answers["chosen"]
    write_predictions(context.workdir / PREDICTIONS, answers)
    judging = Judging.of(recipe)
    found = SoftAgainstAnswers(
        answers=score(answers, judging),
        comparisons=compare_with("answers", soft, answers, judging, [judging.main]),
    )
    write_json(context.workdir / FILE, to_json(found))
