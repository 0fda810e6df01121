"""The tuned model on the holdout, and on what it was trained with, before any merge or rounding.

Accuracy and F1 are measured by constrained decoding. Free decoding on the same rows gives
`valid_output`: constrained, every output is valid and the number would be empty. Validation rows
and a sample of the training rows show overfitting.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.example import Example, read_examples
from engine.data.subsets import beginning
from engine.environment import version_of
from engine.evidence import Scores, to_json
from engine.metrics.predictions import read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.recipe.model import Recipe
from engine.stages import answering
from engine.stages.base import Payload, StageContext
from engine.stages.training import load_trained
from engine.store import Artifact

if TYPE_CHECKING:
    from engine.runtime.models import LoadedModel

NAME = "evaluate"
REVISION = 2
NEEDS: tuple[str, ...] = ("data", "holdout", "train")
AFTER: tuple[str, ...] = ()
USES_SOURCES = False
USES_BASE_MODEL = True
USES_DEVICE = True
TOOLS: tuple[str, ...] = ("numpy", "peft", "torch", "transformers")

SETS = ("holdout", "free", "train", "validation")
"""`free` is the holdout again, decoded freely."""

TRAIN_SAMPLE = 200
"""Training rows that are asked, at most; two a label where that is more."""


def recipe_slice(recipe: Recipe) -> Payload:
    """Return task, the confidence of intervals, and the seed of the sample and of draws."""
    return {
        "task": asdict(recipe.task),
        "acceptance": {"confidence": recipe.acceptance.confidence},
        "splits": {"seed": recipe.splits.seed},
    }


def run(context: StageContext) -> None:
    """Write `scores.json`, `sampling.json` and `predictions.<set>.jsonl` for each of `SETS`."""
    recipe = context.recipe
    data = context.artifacts["data"]
    train = read_examples(data.file("train.jsonl"))
    holdout = read_examples(context.artifacts["holdout"].file("holdout.jsonl"))
    rows: dict[str, Sequence[Example]] = {
        "holdout": holdout,
        "free": holdout,
        "train": sample_rows(train, recipe.task.labels, seed=recipe.splits.seed),
        "validation": read_examples(data.file("validation.jsonl")),
    }
    loaded = cache(partial(load_trained, context.artifacts["train"], context))
    asked = answering.Asked.of(recipe, train)
    scores = {}
    for name in SETS:
        made = _predictions(name, context, (asked, rows[name]), loaded=loaded)
        file = context.workdir / f"predictions.{name}.jsonl"
        shutil.copyfile(made.file(answering.FILE), file)
        scores[name] = to_json(_score(file, recipe))
    _write(context.workdir / "scores.json", scores)
    sampling = {"train": {"rows": len(rows["train"]), "of": len(train)}}
    _write(context.workdir / "sampling.json", sampling)


def sample_rows(rows: Sequence[Example], labels: Sequence[str], *, seed: int) -> list[Example]:
    """Draw training rows by seed: every label at its share, none left out, in file order."""
    return beginning(rows, max(TRAIN_SAMPLE, 2 * len(labels)), seed=seed)


def _predictions(
    name: str,
    context: StageContext,
    question: tuple[answering.Asked, Sequence[Example]],
    *,
    loaded: Callable[[], LoadedModel],
) -> Artifact:
    """Make or reuse the predictions on one set; changing a metric never asks the model again."""
    recipe = context.recipe
    asked, rows = question
    payload = {
        "revision": answering.REVISION,
        "set": name,
        "rows": context.inputs["holdout" if name in ("holdout", "free") else "data"],
        "sample": {"seed": recipe.splits.seed, "rows": len(rows)} if name == "train" else None,
        "model": context.inputs["train"],
        "base_model": context.base_model,
        "asked": asked.payload(),
        "device": context.device.kind,
        "precision": context.device.precision(recipe.backend.precision),
        "versions": {tool: version_of(tool) for tool in ("peft", "torch", "transformers")},
    }
    ask = answering.free if name == "free" else answering.chosen

    def build(folder: Path) -> None:
        predictions = ask(loaded(), asked, rows, progress=context.progress) if rows else []
        write_predictions(folder / answering.FILE, predictions)

    return context.once("predictions", payload, build)


def _score(file: Path, recipe: Recipe) -> Scores:
    return score(
        read_predictions(file),
        recipe.task,
        confidence=recipe.acceptance.confidence,
        seed=recipe.splits.seed,
    )


def _write(path: Path, value: object) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
