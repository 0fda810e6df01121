"""Trainings beside the model of the run: by another seed or setting, or on a part of the rows."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from engine.artifacts.stage import StageContext
from engine.backends import load_backend
from engine.environment import version_of
from engine.files.digests import FILE as DIGESTS
from engine.files.digests import changed_files, read_digests, write_digests
from engine.progress import NamedProgress
from engine.recipe.model import Method, Recipe
from engine.recipe.teacher import soft_slice, soft_targets_of
from engine.store import Artifact
from engine.store.store import GONE
from engine.training.rendered import rendered_rows
from engine.training.soft_targets import STAGE as SOFT_TARGETS
from engine.training.train import USAGE, Training, setting_of, train_rows
from engine.values import Value, replace, to_json

WEIGHTS = "swept"
RESULT = "result"
"""In the folder of a training, what becomes its artifact."""


class TrainingVariant(Value):
    """A training that is ready to be done."""

    context: StageContext
    """Of the stage, with the recipe and the progress of this training."""
    base: Path
    rendered: Artifact
    config: str
    """The backend config's text."""

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
