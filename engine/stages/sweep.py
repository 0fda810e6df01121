"""Sweep: train each setting on the training rows, ask it the validation rows, and choose the best one.

The holdout is not among what this stage reads. The winner's weights are left for `train`, which would train the same.
"""

import shutil

from engine.artifacts.results import LEFT, read_json, write_json
from engine.artifacts.stage import Payload, StageContext, given
from engine.evidence import TrainingSummary
from engine.inference import predict
from engine.inference.cached import judged_validation
from engine.metrics.predictions import Judging
from engine.metrics.sweeping import SettingResult, choose
from engine.recipe.model import Recipe
from engine.recipe.sweeps import named, setting_words, values_of
from engine.training.train import SUMMARY, refuse_unready
from engine.training.trials import Trial, discard, is_trained, run_trials, training_slice, weights
from engine.values import from_json, replace, to_json

REVISION = 4
NEEDS = ("data", "synthetic_rows", "training_rows", "replayed_rows", "soft_targets")
USES = ("base_model", "device", "kernels")
TOOLS = ("numpy", "peft", "torch", "transformers")

FILE = "sweep.json"
PRODUCT = "setting"
RAN_AWAY = ("B414", "B415", "B416")
"""Codes of trainings that fail by their setting, and would again: such a setting loses, and the sweep goes on."""


def recipe_slice(recipe: Recipe) -> Payload:
    sweep = given(recipe.sweep)
    return {
        "settings": [to_json(replace(method, seeds=())) for method in sweep.settings],
        "named": named(sweep, recipe.method),
        "choose_by": sweep.choose_by,
        **training_slice(recipe),
    }


def run(context: StageContext) -> None:
    """Write `sweep.json`, where the winner's weights are, and `predictions.<number>.jsonl` of settings with a model.

    Raises as `seeds`, and StageError B419 where no setting could be judged; B414 to B416 are a setting's result.
    """
    context = context.for_training()
    recipe = context.recipe
    sweep = given(recipe.sweep)
    refuse_unready(context)
    train = context.examples("train")
    rows = judged_validation(context.examples("validation"), recipe)
    names = named(sweep, recipe.method)
    # what a setting is called by, and what has to be written into `method` to keep it
    values = [values_of(method, names) for method in sweep.settings]
    trials = [
        Trial(
            name=f"setting {number} of {len(values)} ({setting_words(values[number - 1])})",
            product=PRODUCT,
            recipe=replace(recipe, method=replace(method, seeds=())),
            learned=train,
            rows=rows,
            key={
                "revision": (REVISION, predict.REVISION),
                "rows": [row.id for row in rows],
                "data": context.inputs["data"],
            },
            also_kept=(SUMMARY,),
            may_fail=RAN_AWAY,
            leaves_weights=True,
        )
        for number, method in enumerate(sweep.settings, 1)
    ]
    found = run_trials(trials, context)
    judged = []
    for number, (one, setting) in enumerate(zip(found, values, strict=True), 1):
        training = None
        if not one.failed:
            training = from_json(TrainingSummary, read_json(one.made, SUMMARY))
            file = context.workdir / f"predictions.{number}.jsonl"
            shutil.copyfile(one.made.file(predict.FILE), file)
        judged.append(
            SettingResult(
                values=setting,
                training=training,
                predictions=one.answers.get("chosen", ()),
                failed=one.failed,
            )
        )
    choice = choose(judged, Judging.of(recipe), sweep.choose_by)
    write_json(context.workdir / FILE, to_json(choice))
    write_json(context.workdir / LEFT, weights(found[choice.chosen].training).name)
    for number, one in enumerate(found):
        folder = weights(one.training)
        if number != choice.chosen or not is_trained(folder):  # judged in an earlier sweep: gone
            discard(folder)
