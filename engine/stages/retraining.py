"""Train on a part of the rows, as the model of the run was trained, and ask the result. Not a stage.

Rows, training and answers are inner products by their content: nothing is done twice, and a killed
training goes on from its last checkpoint.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.backends import load_backend
from engine.data.example import Example, write_examples
from engine.environment import version_of
from engine.metrics.predictions import Prediction, read_predictions, write_predictions
from engine.recipe.model import Recipe
from engine.stages import answering
from engine.stages.base import Progress, StageContext
from engine.stages.rendered import rendered_rows
from engine.stages.training import Training, load_trained, setting_of, train_rows
from engine.store import Artifact

if TYPE_CHECKING:
    from engine.runtime.models import LoadedModel

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
class Named:
    """Progress that says which training it tells of."""

    of: str
    inner: Progress

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Say how far it is, with the name of the part."""
        self.inner.update(done, total, unit, of=self.of, **facts)

    def note(self, text: str) -> None:
        """Say one line that stays."""
        self.inner.note(f"{self.of}: {text}")


def backend_slice(recipe: Recipe) -> dict[str, Any]:
    """Return what a training depends on of its backend, besides the compiled config."""
    backend = recipe.backend
    return {
        "name": backend.name,
        "version": load_backend(backend.name).version(),
        "overrides": [list(pair) for pair in backend.overrides],
    }


def answers(
    part: Part, rows: Sequence[Example], context: StageContext, *, ways: Sequence[str]
) -> list[list[Prediction]]:
    """Train on a part, and return what that model says on `rows` in each way of decoding."""
    context = replace(context, progress=Named(of=part.name, inner=context.progress))
    trained = _trained(part, context)
    loaded = cache(partial(load_trained, trained, context))
    return [_said(way, (part, rows), trained, context, loaded=loaded) for way in ways]


def _trained(part: Part, context: StageContext) -> Artifact:
    """Train on a part of the rows, go on training, or find it done."""
    from engine.runtime.base_model import locate_base_model  # noqa: PLC0415 - brings torch

    base = locate_base_model(context.recipe.base_model, context.once, context.progress)
    artifacts = {**context.artifacts, "data": _subset(part, context)}
    rendered = rendered_rows(replace(context, artifacts=artifacts), base)
    backend = load_backend(context.recipe.backend.name)
    config = backend.compile(context.recipe, setting_of(rendered, context)).text
    payload = {
        "revision": REVISION,
        "rendered": rendered.key,
        "config": config,
        "base_model": context.base_model,
        "backend": backend_slice(context.recipe),
        **machine(context),
    }
    scratch = context.scratch / part.name.replace(" ", "-").replace("%", "percent")

    def build(folder: Path) -> None:
        training = Training(
            rendered=rendered, base=base, config=config, scratch=scratch, result=folder
        )
        train_rows(training, context)

    made = context.once("resampled", payload, build)
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

    return context.once("subset", payload, build)


def _said(
    way: str,
    judged: tuple[Part, Sequence[Example]],
    trained: Artifact,
    context: StageContext,
    *,
    loaded: Callable[[], LoadedModel],
) -> list[Prediction]:
    """Make or reuse what a model trained on a part says on rows of the data stage."""
    part, rows = judged
    asked = answering.Asked.of(context.recipe, part.train)
    payload = {
        "revision": answering.REVISION,
        "way": way,
        "rows": _digest(rows),
        "data": context.inputs["data"],
        "model": trained.key,
        "base_model": context.base_model,
        "asked": asked.payload(),
        **machine(context),
    }
    ask = {"chosen": answering.chosen, "free": answering.free}[way]

    def build(folder: Path) -> None:
        said = ask(loaded(), asked, rows, progress=context.progress) if rows else []
        write_predictions(folder / answering.FILE, said)

    return read_predictions(context.once("predictions", payload, build).file(answering.FILE))


def machine(context: StageContext) -> dict[str, Any]:
    """Return what a result depends on besides rows, recipe and model."""
    return {
        "device": context.device.kind,
        "precision": context.device.precision(context.recipe.backend.precision),
        "versions": {tool: version_of(tool) for tool in ("peft", "torch", "transformers")},
    }


def _digest(rows: Sequence[Example]) -> str:
    """Return the sha256 over the ids, in order."""
    return sha256("\n".join(row.id for row in rows).encode()).hexdigest()
