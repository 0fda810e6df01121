"""The tuned model on the holdout, and on what it was trained with, before any merge or rounding."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from engine.artifacts.results import SPEED, write_json
from engine.artifacts.results import training as training_summary
from engine.artifacts.stage import Payload, StageContext
from engine.data.examples.example import Example
from engine.errors import StageError
from engine.inference import cached, predict
from engine.inference.cached import judged_validation, sample_rows, stopwatch
from engine.inference.preference import Reference, rated, reference_of
from engine.kinds import Decoding
from engine.metrics.contradictions import holdout_against_validation, loss_against_answers
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.recipe.model import Recipe
from engine.store import Artifact
from engine.training.curves import write_curve
from engine.training.train import load_trained, refuse_another_model
from engine.training.trials import machine
from engine.values import Value, to_json

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel

REVISION = 10
NEEDS = ("data", "holdout", "train")
USES = ("base_model", "device")
TOOLS = ("numpy", "peft", "torch", "transformers")

SETS = ("holdout", "free", "train", "validation")
"""`free` is the holdout again, decoded freely; only where `holdout` is not."""
FREE_FILE = "free.jsonl"


class _Rows(Value, kw_only=False):
    name: str
    rows: Sequence[Example]
    of: int
    """So many are there; more than `rows` where a sample is asked."""
    is_free_too: bool = False

    @property
    def files(self) -> dict[str, str]:
        return {self.name: predict.FILE} | ({"free": FREE_FILE} if self.is_free_too else {})


def recipe_slice(recipe: Recipe) -> Payload:
    return {
        "task": {**to_json(recipe.task), **predict.counted_bytes(recipe.task)},
        "acceptance": {"confidence": recipe.acceptance.confidence},
        "splits": {"seed": recipe.splits.seed},
        "method": {"max_length": recipe.method.max_length, **predict.stride_slice(recipe)},
    }


def run(context: StageContext) -> None:
    """Write `scores.json`, `checkpoints.json`, `sampling.json`, and `predictions.<set>.jsonl` of each of `SETS`.

    StageError B430 where the trainer's validation loss and the answers to those rows contradict each other, B432 where
    validation rows and holdout do, B451 where the model is not the one that was trained, X820 where answers stand at
    other rows than their own.
    """
    recipe = context.recipe
    train, validation, holdout = map(context.examples, ("train", "validation", "holdout"))

    @cache  # loaded once, and not at all where every answer is in the store
    def loaded() -> LoadedModel:
        found = load_trained(context.artifacts["train"], context)
        refuse_another_model(found, context)
        return found

    asked = predict.PredictionInputs.of(recipe, train)
    sample = sample_rows(train, recipe.task, seed=recipe.splits.seed)
    sets = [
        _Rows("holdout", holdout, len(holdout), is_free_too=recipe.task.spec.is_constrained),
        _Rows("train", sample, len(train)),
        _Rows("validation", judged_validation(validation, recipe), len(validation)),
    ]
    scores: dict[str, object] = dict.fromkeys(SETS)
    # before the tuned model is loaded: one model in memory at a time
    bases = {part.name: reference_of(context, asked, part.rows) for part in sets}
    for part in sets:
        made = _predictions(part, context, asked, base=bases[part.name], loaded=loaded)
        for name, source in part.files.items():
            file = context.workdir / f"predictions.{name}.jsonl"
            shutil.copyfile(made.file(source), file)
            scores[name] = to_json(score(read_predictions(file), Judging.of(recipe)))
        if part.name == "holdout" and (made.path / SPEED).is_file():
            shutil.copyfile(made.file(SPEED), context.workdir / SPEED)
    write_json(context.workdir / "scores.json", scores)
    final = read_predictions(context.workdir / "predictions.validation.jsonl")
    answers = read_predictions(context.workdir / "predictions.holdout.jsonl")
    training = training_summary(context.artifacts)
    problems = [
        loss_against_answers(recipe, training, final) if training else None,
        holdout_against_validation(recipe, final, answers),
    ]
    if found := [problem for problem in problems if problem is not None]:
        raise StageError(found)
    write_curve(context, asked, sets[-1].rows, final=final)
    sampling = {part.name: {"rows": len(part.rows), "of": part.of} for part in sets}
    write_json(context.workdir / "sampling.json", sampling)


def _predictions(
    part: _Rows,
    context: StageContext,
    asked: predict.PredictionInputs,
    *,
    base: Reference,
    loaded: Callable[[], LoadedModel],
) -> Artifact:
    recipe = context.recipe
    sample = {"seed": recipe.splits.seed, "rows": len(part.rows)}
    payload = {
        "revision": predict.REVISION,
        "set": part.name,
        "rows": context.inputs["holdout" if part.name == "holdout" else "data"],
        "sample": sample if len(part.rows) < part.of else None,
        "model": context.inputs["train"],
        "base_model": context.base_model,
        "asked": asked.payload(),
        **machine(context),
    }
    if part.is_free_too:
        payload["free"] = True

    def build(folder: Path) -> None:
        rows, progress = part.rows, context.progress_of(part.name)
        judged, free = list[Prediction](), list[Prediction]()
        if rows and part.is_free_too and recipe.teacher is None:
            judged, free = predict.judged_and_free(loaded(), asked, rows, progress=progress)
        elif rows:
            model = loaded()
            seconds = stopwatch(context.device.kind)
            judged = predict.judged(model, asked, rows, progress=progress)
            if recipe.teacher is not None:
                write_json(folder / SPEED, {"rows": len(rows), "seconds": seconds()})
            if part.is_free_too:
                # apart from what is timed
                free = predict.free(model, asked, rows, progress=progress)
        write_predictions(folder / predict.FILE, rated(judged, asked, base))
        if part.name != "train" and recipe.task.spec.decoding is Decoding.LABEL_SCORING:
            written = read_predictions(folder / predict.FILE)
            most = cached.ROWS if part.name == "holdout" else cached.ONE
            cached.refuse_moved_answers(loaded, asked, rows, written, most=most)
        if part.is_free_too:
            write_predictions(folder / FREE_FILE, free)

    return context.cached("predictions", payload, build)
