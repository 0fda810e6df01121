"""Trials: variants of the recipe that are trained and answer rows, of which the answers are kept."""

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any, Final

from engine.artifacts.results import read_json, write_json
from engine.artifacts.stage import StageContext
from engine.backends import load_backend
from engine.data.examples.example import Example, write_examples
from engine.data.splitting.subsets import Fold, folds_of
from engine.environment import version_of
from engine.errors import StageError
from engine.files.digests import FILE as DIGESTS
from engine.files.digests import changed_files, read_digests, write_digests
from engine.files.reading import json_lines
from engine.inference import predict
from engine.inference.preference import rated, reference_of
from engine.metrics.predictions import Prediction, read_predictions, write_predictions
from engine.progress import NamedProgress
from engine.recipe.model import Method, Recipe
from engine.recipe.teacher import soft_slice, soft_targets_of
from engine.runtime.rendering.key import REPLAY_FILE
from engine.runtime.rendering.rendered_files import read_facts
from engine.store import Artifact
from engine.store.store import GONE
from engine.training.rendered import rendered_rows
from engine.training.soft_targets import STAGE as SOFT_TARGETS
from engine.training.train import USAGE, Training, load_trained, setting_of, train_rows
from engine.values import Value, field, replace, to_json

WEIGHTS = "swept"
RESULT = "result"
"""Subfolder of a training that becomes its artifact."""


class TrainingVariant(Value):
    context: StageContext
    """Context of the stage, with the recipe and the progress of this training."""
    base: Path
    rendered: Artifact
    config: str

    def identity(self) -> dict[str, Any]:
        """Return what the trained weights depend on, as JSON data."""
        targets = () if soft_targets_of(self.context.recipe) is None else (SOFT_TARGETS,)
        return {
            "rendered": self.rendered.key,
            "config": self.config,
            "base_model": self.context.base_model,
            "backend": backend_slice(self.context.recipe),
            **machine(self.context),
            **{name: self.context.artifacts[name].key for name in targets},
        }


def backend_slice(recipe: Recipe) -> dict[str, Any]:
    backend = recipe.backend
    return {
        "name": backend.name,
        "version": load_backend(backend.name).version(),
        "overrides": [list(pair) for pair in backend.overrides],
    }


def training_slice(recipe: Recipe) -> dict[str, Any]:
    """Return what trainings beside the model of the run, and the judging of them, depend on, for a stage's key."""
    return {
        "task": to_json(recipe.task),
        "data": {"checks": {"truncation": recipe.data.checks.truncation}},
        "acceptance": {"confidence": recipe.acceptance.confidence},
        "splits": {"seed": recipe.splits.seed},
        "backend": backend_slice(recipe),
        **soft_slice(recipe),
    }


def machine(context: StageContext) -> dict[str, Any]:
    """Return what a result depends on besides rows, recipe and model."""
    return {
        "device": context.device.kind,
        "precision": context.precision,
        "versions": {tool: version_of(tool) for tool in ("peft", "torch", "transformers")},
    }


def variant(
    method: Method, context: StageContext, *, of: str, quiet: bool = False
) -> TrainingVariant:
    """Return the training of the data stage's rows by `method`; `of` is what progress calls it.

    With `quiet` its rows are not remarked on: they were, or will be when it is trained.

    DataError: D390-D392 rows that cannot be trained.
    """
    recipe = replace(context.recipe, method=method)
    own = replace(context, recipe=recipe, progress=NamedProgress(of=of, inner=context.progress))
    base = own.base_model_folder()
    # The texts of the holdout were looked at by `baseline`, which takes the libraries of a tokenizer.
    read = {name: one for name, one in own.artifacts.items() if name != "holdout"}
    rendered = rendered_rows(replace(own, artifacts=read), base, quiet=quiet)
    config = load_backend(recipe.backend.name).compile(recipe, setting_of(rendered, own)).text
    return TrainingVariant(context=own, base=base, rendered=rendered, config=config)


def weights(one: TrainingVariant) -> Path:
    """Return the folder that a sweep trains a setting in, and leaves the winner's weights in for `train`."""
    return one.context.scratch_for(WEIGHTS, one.identity())


def take(one: TrainingVariant, place: Path) -> Path | None:
    """Move the weights that a sweep left of this training to `place`; return their folder, or None without any.

    Moved whole before anything is read: another run that shares the store may have no use for them, and clear them.
    """
    folder = weights(one)
    if is_trained(folder) and not is_trained(place):
        # Another run may have taken or cleared them meanwhile: then this one trains by itself.
        with contextlib.suppress(OSError):
            folder.rename(place)
    discard(folder)
    return place / RESULT if is_trained(place) else None


def discard(folder: Path) -> None:
    """Delete what a sweep left, in one move out of the way: nobody takes the half of it."""
    gone = folder.with_name(f"{folder.name}{GONE}")
    # What a kill has left of an earlier move would be in the way of this one.
    shutil.rmtree(gone, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def trained(one: TrainingVariant, scratch: Path, *, keeps_checkpoints: bool = False) -> Path:
    """Train in `scratch` and return the folder of the result; go on, or find it done.

    Digests of the result stand beside it: one whose files are not as they were written is made again from the last
    checkpoint.

    StageError: B411-B418 the training failed, or what it left cannot be believed.
    """
    result = scratch / RESULT
    if is_trained(scratch):
        return result
    # Half a result of an attempt that was killed.
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir(parents=True)
    training = Training(
        rendered=one.rendered,
        base=one.base,
        config=one.config,
        scratch=scratch / "launch",
        result=result,
        keeps_checkpoints=keeps_checkpoints,
    )
    train_rows(training, one.context)
    # Written last: where these digests are, the training is finished.
    write_digests(result, place=scratch / DIGESTS)
    return result


def is_trained(scratch: Path) -> bool:
    try:
        digests = read_digests(scratch / DIGESTS)
    except (OSError, ValueError):
        return False
    return digests is not None and USAGE in digests and not changed_files(scratch / RESULT, digests)


FAILED: Final = "failed.json"
"""A file in the product of a trial without a model: the reason."""
WAYS: Final = {
    "chosen": (predict.FILE, predict.judged),
    "free": ("predictions.free.jsonl", predict.free),
}


class Part(Value):
    train: Sequence[Example]
    validation: Sequence[Example]


class Trial(Value):
    name: str
    """Its name in progress messages: `seed 8`, `fold 2 of 5`."""
    product: str
    recipe: Recipe
    learned: Sequence[Example]
    """Training rows, whose answers say how long an answer may be."""
    rows: Sequence[Example]
    key: Mapping[str, Any]
    """Dependencies of the answers besides training and questions, as JSON data."""
    part: Part | None = None
    """The rows that are trained on; None for those of the context."""
    ways: tuple[str, ...] = ("chosen",)
    also_kept: tuple[str, ...] = ()
    """Files of the training that are kept with the answers."""
    may_fail: tuple[str, ...] = ()
    """Codes of failures that are the trial's result: it would fail again."""
    leaves_weights: bool = False
    """Whether the weights stay for the stage `train`, until the sweep discards them."""


def holdout_trial(
    name: str, context: StageContext, recipe: Recipe, *, product: str, revision: int
) -> Trial:
    """Return the training of a variant on the same rows, which answers the holdout."""
    return Trial(
        name=name,
        product=product,
        recipe=recipe,
        learned=context.examples("train"),
        rows=context.examples("holdout"),
        key={"revision": (revision, predict.REVISION), "holdout": context.inputs["holdout"]},
    )


class TrialResult(Value):
    made: Artifact
    training: TrainingVariant
    trained_on: int
    """Training rows that were not left out for their length."""
    answers: Mapping[str, Sequence[Prediction]] = field(default_factory=dict)
    """By kind of decoding; empty for a trial that failed."""
    failed: str = ""


def run_trials(trials: Sequence[Trial], context: StageContext) -> list[TrialResult]:
    """Return what comes of each trial, in order; several train at once where the run allows it.

    DataError: D390-D392 rows that cannot be trained.
    StageError: B411-B418 a training failed, or what it left cannot be believed.
    """
    from engine.training.at_once import VariantJob, results  # starts processes, which no plan needs

    jobs = [VariantJob(name=one.name, call=partial(run_trial, one)) for one in trials]
    return results(jobs, context)


def run_trial(trial: Trial, context: StageContext) -> TrialResult:
    """Train a variant and let it answer the rows, continue that, or find it done."""
    own = replace(context, recipe=trial.recipe)
    if trial.part is not None:
        own = replace(own, artifacts={**own.artifacts, "data": _subset(trial.part, own)})
    one = variant(trial.recipe.method, own, of=trial.name)
    asked = predict.PredictionInputs.of(one.context.recipe, trial.learned)
    payload = {**trial.key, "asked": asked.payload(), **one.identity()}

    def build(folder: Path) -> None:
        keeps = trial.leaves_weights
        scratch = weights(one) if keeps else context.scratch_for(trial.product, payload)
        try:
            result = trained(one, scratch, keeps_checkpoints=keeps)
        except StageError as error:
            if error.problems[0].code not in trial.may_fail:
                raise
            write_json(folder / FAILED, error.problems[0].headline())
            return
        base = reference_of(one.context, asked, trial.rows)
        loaded = load_trained(result, one.context)
        for file, ask in map(WAYS.__getitem__, trial.ways):
            found = (
                ask(loaded, asked, trial.rows, progress=one.context.progress) if trial.rows else []
            )
            write_predictions(folder / file, rated(found, asked, base))
        for name in trial.also_kept:
            shutil.copyfile(result / name, folder / name)

    made = context.cached(trial.product, payload, build)
    count = rows_left(len(trial.part.train if trial.part else trial.learned), one.rendered)
    found = TrialResult(made=made, training=one, trained_on=count)
    if (made.path / FAILED).is_file():
        return replace(found, failed=str(read_json(made, FAILED)))
    answers = {way: read_predictions(made.file(WAYS[way][0])) for way in trial.ways}
    return replace(found, answers=answers)


def rows_left(given: int, rendered: Artifact) -> int:
    """Return how many of so many training rows were not left out for their length."""
    return given - len(read_facts(rendered)["train"].dropped)


def folds_in(context: StageContext) -> tuple[Fold, ...]:
    """Return what is judged, and what may be learned from for it: one fold without cross-validation."""
    return folds_of(
        *map(context.examples, ("train", "validation", "holdout")),
        folds=context.recipe.splits.folds,
        near=context.recipe.data.checks.keeps_splits_apart,
    )


def _subset(part: Part, context: StageContext) -> Artifact:
    payload = {
        "train": digest_of(part.train),
        "validation": digest_of(part.validation),
        "data": context.inputs["data"],
    }

    def build(folder: Path) -> None:
        write_examples(folder / "train.jsonl", part.train)
        write_examples(folder / "validation.jsonl", part.validation)
        replayed = context.artifacts["data"].path / REPLAY_FILE
        if not replayed.is_file():
            return
        share = min(1.0, len(part.train) / len(context.examples("train")))
        lines = json_lines(replayed.read_text(encoding="utf-8"))
        sizes = [json.loads(line)["tokens"] for line in lines]
        most, ends = share * sum(sizes), accumulate(sizes)
        # Half of a text may be beyond the share.
        few = takewhile(lambda one: one[0] - one[1] / 2 <= most, zip(ends, sizes, strict=True))
        kept = [f"{line}\n" for line in lines[: max(1, len([*few]))]]
        (folder / REPLAY_FILE).write_text("".join(kept), encoding="utf-8", newline="\n")

    return context.cached("subset", payload, build)


def digest_of(rows: Sequence[Example]) -> str:
    return sha256("\n".join(row.id for row in rows).encode()).hexdigest()
