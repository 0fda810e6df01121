"""Sweep: train each setting on the training rows, ask it the validation rows, and choose the best one.

The holdout is not among what this stage reads. Every setting's answers are an inner product of their own,
so that a killed sweep goes on where it stopped and another list of settings trains only those that are
new. The winner's weights are left aside for `train`, which would train the very same; those of the others
are not kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from engine.artifacts.results import LEFT, read_json, write_json
from engine.artifacts.stage import Payload, StageContext
from engine.data.examples.example import Example
from engine.errors import StageError
from engine.evidence import TrainingSummary, to_json
from engine.files.typed_json import from_json
from engine.inference import predict
from engine.inference.preference import rated, reference_of
from engine.inference.sampling import judged_validation
from engine.metrics.predictions import Judging, read_predictions, write_predictions
from engine.metrics.sweeping import SettingResult, SweepCriterion, choose
from engine.recipe.model import Method, Recipe, Sweep
from engine.recipe.sweeps import named, setting_words, values_of
from engine.store import Artifact
from engine.training.at_once import VariantJob, results
from engine.training.train import SUMMARY, load_weights, refuse_unready
from engine.training.variants import (
    TrainingVariant,
    discard,
    is_trained,
    trained,
    training_slice,
    variant,
    weights,
)

REVISION = 4
NEEDS = ("data", "synthetic_rows", "training_rows", "replayed_rows", "soft_targets")
USES = ("base_model", "device", "kernels")
TOOLS = ("numpy", "peft", "torch", "transformers")

FILE = "sweep.json"
PRODUCT = "setting"
"""Answers of one setting's model, and how its training went."""
FAILED = "failed.json"
"""In the product of a setting without a model: why."""
RAN_AWAY = ("B414", "B415", "B416")
"""Codes of trainings that fail by their setting, and would again: such a setting loses, and the sweep goes on."""


def recipe_slice(recipe: Recipe) -> Payload:
    """Return the settings, how they are compared, and what rows and answers depend on."""
    sweep = _sweep(recipe)
    return {
        "settings": [asdict(replace(method, seeds=())) for method in sweep.settings],
        "named": named(sweep, recipe.method),
        "choose_by": sweep.choose_by,
        **training_slice(recipe),
    }


def run(context: StageContext) -> None:
    """Write `sweep.json`, and `predictions.<number>.jsonl` of each setting that has a model.

    Also where the winner's weights are left, in `weights.json`.

    Raises:
        EnvironmentProblem: B402, B403, B408-B410 this machine cannot train a setting.
        DataError: D390-D392 rows that cannot be trained.
        StageError: B411-B413, B417, B418 a training failed, or what it left cannot be believed; B419 no
            setting could be judged.

    """
    context = context.for_training()
    recipe = context.recipe
    sweep = _sweep(recipe)
    refuse_unready(context)
    train = context.examples("train")
    rows = judged_validation(context.examples("validation"), recipe)
    names = named(sweep, recipe.method)
    # what a setting is called by, and what has to be written into `method` to keep it
    values = [values_of(method, names) for method in sweep.settings]
    variants = [
        _variant((method, number, len(values)), context, quiet=True)
        for number, method in enumerate(sweep.settings, 1)
    ]
    jobs = [
        VariantJob(
            name=f"setting {number}",
            call=partial(_made, (method, number, len(values)), (train, rows)),
        )
        for number, method in enumerate(sweep.settings, 1)
    ]
    judged = []
    for number, made in enumerate(results(jobs, context)):
        judged.append(_read(made, values[number]))
        if not judged[-1].failed:
            file = context.workdir / f"predictions.{number}.jsonl"
            shutil.copyfile(made.file(predict.FILE), file)
    choice = SweepCriterion(judging=Judging.of(recipe), metric=sweep.choose_by)
    found = choose(judged, choice)
    write_json(context.workdir / FILE, to_json(found))
    write_json(context.workdir / LEFT, weights(variants[found.chosen]).name)
    for number, one in enumerate(variants):
        left = weights(one)
        if number != found.chosen or not is_trained(left):  # judged in an earlier sweep: gone
            discard(left)


def _sweep(recipe: Recipe) -> Sweep:
    if recipe.sweep is None:
        raise AssertionError(recipe.name)  # see `applies`
    return recipe.sweep


def _read(made: Artifact, values: Payload) -> SettingResult:
    if (made.path / FAILED).is_file():
        return SettingResult(values=values, training=None, failed=str(read_json(made, FAILED)))
    return SettingResult(
        values=values,
        training=from_json(TrainingSummary, read_json(made, SUMMARY)),
        predictions=read_predictions(made.file(predict.FILE)),
    )


def _variant(
    setting: tuple[Method, int, int], context: StageContext, *, quiet: bool = False
) -> TrainingVariant:
    """Return the training of a setting, with its number and how many there are."""
    method, number, of = setting
    words = setting_words(values_of(method, named(_sweep(context.recipe), context.recipe.method)))
    name = f"setting {number} of {of} ({words})"
    return variant(replace(method, seeds=()), context, of=name, quiet=quiet)


def _made(
    setting: tuple[Method, int, int],
    rows: tuple[Sequence[Example], Sequence[Example]],
    context: StageContext,
) -> Artifact:
    return _judged(_variant(setting, context), rows, context)


def _judged(
    one: TrainingVariant, rows: tuple[Sequence[Example], Sequence[Example]], context: StageContext
) -> Artifact:
    """Train a setting and ask it the validation rows, go on with that, or find it done."""
    train, validation = rows
    asked = predict.PredictionInputs.of(one.context.recipe, train)
    payload = {
        "revision": (REVISION, predict.REVISION),
        "rows": [row.id for row in validation],
        "data": context.inputs["data"],
        "asked": asked.payload(),
        **one.identity(),
    }

    def build(folder: Path) -> None:
        try:
            result = trained(one, weights(one), keeps_checkpoints=True)
        except StageError as error:
            if error.problems[0].code not in RAN_AWAY:
                raise
            # kept as the setting's result: it would fail again, for it is the setting that made
            # it run away
            write_json(folder / FAILED, error.problems[0].headline())
            return
        base = reference_of(one.context, asked, validation)
        loaded = load_weights(result, one.context)
        predictions = predict.judged(loaded, asked, validation, progress=one.context.progress)
        write_predictions(folder / predict.FILE, rated(predictions, asked, base))
        shutil.copyfile(result / SUMMARY, folder / SUMMARY)

    return context.cached(PRODUCT, payload, build)
