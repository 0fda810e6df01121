"""Seeds: the same training with other seeds, each evaluated on the holdout, so that a number's luck is known."""

from collections.abc import Sequence

from engine.artifacts.results import write_json
from engine.artifacts.stage import Payload, StageContext
from engine.evidence import Metric, Scores, Seeds, SeedScores
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.scoring import agreement, score
from engine.metrics.sweeping import spread_of
from engine.recipe.methods import method_slice
from engine.recipe.metrics import FREE
from engine.recipe.model import Recipe
from engine.training.train import refuse_unready
from engine.training.trials import holdout_trial, run_trials, training_slice
from engine.values import replace, to_json

REVISION = 6
NEEDS = (
    "data",
    "synthetic_rows",
    "training_rows",
    "replayed_rows",
    "soft_targets",
    "holdout",
    "evaluate",
)
AFTER = ("gate",)
USES = ("base_model", "device", "kernels")
TOOLS = ("numpy", "peft", "torch", "transformers")

FILE = "seeds.json"
PRODUCT = "seed"


def recipe_slice(recipe: Recipe) -> Payload:
    return {"method": method_slice(recipe.method), **training_slice(recipe)}


def run(context: StageContext) -> None:
    """Write `seeds.json`, and `predictions.<seed>.jsonl` of each further seed.

    EnvironmentProblem B402, B403, B408 to B410, DataError D390 to D392, StageError B411 to B418.
    """
    refuse_unready(context)
    recipe = context.recipe
    first = read_predictions(context.artifacts["evaluate"].file("predictions.holdout.jsonl"))
    seeds = recipe.method.seeds
    trials = [
        # the list is in no training's key: a seed that is added trains only itself
        holdout_trial(
            f"seed {seed}",
            context,
            replace(recipe, method=replace(recipe.method, seed=seed, seeds=())),
            product=PRODUCT,
            revision=REVISION,
        )
        for seed in seeds
    ]
    found = [one.answers["chosen"] for one in run_trials(trials, context.for_training())]
    # Judged afterwards: libraries that judging imports keep nobody waiting who trains.
    runs = [_judged(recipe.method.seed, first, None, recipe)]
    for seed, predictions in zip(seeds, found, strict=True):
        write_predictions(context.workdir / f"predictions.{seed}.jsonl", predictions)
        runs.append(_judged(seed, predictions, first, recipe))
    judged = Seeds(runs=tuple(runs), spread=spread_of(runs))
    write_json(context.workdir / FILE, to_json(judged))


def _judged(
    seed: int, predictions: Sequence[Prediction], first: Sequence[Prediction] | None, recipe: Recipe
) -> SeedScores:
    scores: Scores = score(predictions, Judging.of(recipe))
    empty = FREE if recipe.task.spec.is_constrained else ()
    metrics = tuple(metric for metric in scores.metrics if metric.name not in empty)
    same: Metric | None = None
    if first is not None:
        same = agreement(first, predictions, confidence=recipe.acceptance.confidence)
    return SeedScores(seed=seed, metrics=metrics, agreement=same)
