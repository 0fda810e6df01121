"""Train on a part of the rows, as the model of the run was trained, and ask the result.

Rows, training and answers are inner products by their content: nothing is done twice, and a killed
training goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example, write_examples
from engine.data.splitting.subsets import Fold, folds_of
from engine.files.reading import json_lines
from engine.inference import predict
from engine.inference.preference import rated, reference_of
from engine.metrics.predictions import Prediction, read_predictions, write_predictions
from engine.runtime.rendering.key import REPLAY_FILE
from engine.store import Artifact
from engine.training.train import Training, load_trained, train_rows
from engine.training.variants import TrainingVariant, machine, variant

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel

REVISION = 1
"""Bumped when the same rows and recipe would now be trained otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows to train on, and what they are called while that goes on."""

    name: str
    """`25 %`, `fold 1`."""
    train: Sequence[Example]
    validation: Sequence[Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetPredictions:
    """What a model that was trained on a part says."""

    predictions: list[list[Prediction]]
    """By way of decoding."""
    trained_on: int
    """Examples of the part that were not left out for their length."""


def folds_in(context: StageContext) -> tuple[Fold, ...]:
    """Return what is judged, and what may be learned from for it: one fold without cross-validation."""
    return folds_of(
        *map(context.examples, ("train", "validation", "holdout")),
        folds=context.recipe.splits.folds,
        near=context.recipe.data.checks.keeps_splits_apart,
    )


def answers(
    part: Part, rows: Sequence[Example], context: StageContext, *, ways: Sequence[str]
) -> SubsetPredictions:
    """Train on a part, and return what that model says on `rows` in each way of decoding."""
    artifacts = {**context.artifacts, "data": _subset(part, context)}
    one = variant(context.recipe.method, replace(context, artifacts=artifacts), of=part.name)
    trained = _trained(part, one)
    # Loaded once for all ways, and never where the store has every answer.
    loaded = cache(partial(load_trained, trained, one.context))
    predictions = [
        _predictions(way, (part, rows), trained, one.context, loaded=loaded) for way in ways
    ]
    return SubsetPredictions(
        predictions=predictions, trained_on=examples_left(len(part.train), one.rendered)
    )


def examples_left(given: int, rendered: Artifact) -> int:
    """Return how many of so many training examples were not left out for their length."""
    from engine.runtime.rendering.files import read_facts  # brings torch

    return given - len(read_facts(rendered)["train"].dropped)


def _trained(part: Part, one: TrainingVariant) -> Artifact:
    """Train on a part of the rows, go on training, or find it done."""
    context = one.context
    # The same name after a kill, so that training goes on there.
    scratch = context.scratch / part.name.replace(" ", "-").replace("%", "percent")

    def build(folder: Path) -> None:
        training = Training(
            rendered=one.rendered, base=one.base, config=one.config, scratch=scratch, result=folder
        )
        train_rows(training, context)

    made = context.cached("resampled", {"revision": REVISION, **one.identity()}, build)
    # Only now: until the result is in the store, the checkpoints here are all that a killed run has left.
    shutil.rmtree(scratch, ignore_errors=True)
    return made


def _subset(part: Part, context: StageContext) -> Artifact:
    """Keep the rows of a part as the data stage keeps those of the whole."""
    payload = {
        "train": _digest(part.train),
        "validation": _digest(part.validation),
        "data": context.inputs["data"],
    }

    def build(folder: Path) -> None:
        write_examples(folder / "train.jsonl", part.train)
        write_examples(folder / "validation.jsonl", part.validation)
        _keep_replayed(context, folder, share=len(part.train) / len(context.examples("train")))

    return context.cached("subset", payload, build)


def _keep_replayed(context: StageContext, folder: Path, *, share: float) -> None:
    """Keep as much of the text that is replayed as there is of the rows; most recipes have none."""
    file = context.artifacts["data"].path / REPLAY_FILE
    if not file.is_file():
        return
    lines = json_lines(file.read_text(encoding="utf-8"))
    sizes = [json.loads(line)["tokens"] for line in lines]
    most, kept, held = min(share, 1.0) * sum(sizes), list[str](), 0
    for line, size in zip(lines, sizes, strict=True):
        if kept and held + size / 2 > most:
            break
        kept.append(line)
        held += size
    (folder / REPLAY_FILE).write_text(
        "".join(f"{line}\n" for line in kept), encoding="utf-8", newline="\n"
    )


def _predictions(
    way: str,
    judged: tuple[Part, Sequence[Example]],
    trained: Artifact,
    context: StageContext,
    *,
    loaded: Callable[[], LoadedModel],
) -> list[Prediction]:
    """Make or reuse what a model trained on a part says on rows of the data stage."""
    part, rows = judged
    asked = predict.PredictionInputs.of(context.recipe, part.train)
    payload = {
        "revision": predict.REVISION,
        "way": way,
        "rows": _digest(rows),
        "data": context.inputs["data"],
        "model": trained.key,
        "base_model": context.base_model,
        "asked": asked.payload(),
        **machine(context),
    }
    ask = {"chosen": predict.judged, "free": predict.free}[way]

    def build(folder: Path) -> None:
        base = reference_of(context, asked, rows)
        predictions = ask(loaded(), asked, rows, progress=context.progress) if rows else []
        write_predictions(folder / predict.FILE, rated(predictions, asked, base))

    return read_predictions(context.cached("predictions", payload, build).file(predict.FILE))


def _digest(rows: Sequence[Example]) -> str:
    """Return the sha256 over the ids, in order."""
    return sha256("\n".join(row.id for row in rows).encode()).hexdigest()
