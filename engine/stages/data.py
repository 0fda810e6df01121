"""Data: read the sources, label, check and divide the rows; keep the holdout from training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from engine.data.example import Example, write_examples
from engine.data.prepare import prepare
from engine.data.sources import fetch_all, read_all, source_names, source_slice
from engine.evidence import to_json
from engine.recipe.model import Recipe
from engine.stages.base import Payload, StageContext

NAME = "data"
REVISION = 1
NEEDS: tuple[str, ...] = ()
AFTER: tuple[str, ...] = ()
TOOLS: tuple[str, ...] = ()
USES_SOURCES = True
USES_BASE_MODEL = False
USES_DEVICE = False

HOLDOUT = "holdout"


def recipe_slice(recipe: Recipe) -> Payload:
    """Return what decides the splits; the bytes of the sources are added to the key by the plan."""
    data = recipe.data
    return {
        "input": recipe.task.input,
        "labels": recipe.task.labels,
        "sources": [
            source_slice(source, name)
            for source, name in zip(data.sources, source_names(data.sources), strict=True)
        ],
        "label": data.label,
        "sample": data.sample,
        "checks": {
            "duplicates": data.checks.duplicates,
            "conflicting_labels": data.checks.conflicting_labels,
            "leakage": data.checks.leakage,
            "empty": data.checks.empty,
            "unknown_labels": data.checks.unknown_labels,
            "imbalance": data.checks.imbalance,
        },
        "splits": recipe.splits,
    }


def run(context: StageContext) -> None:
    """Write `train.jsonl`, `validation.jsonl` and `summary.json`, and the product `holdout`.

    DataError with every problem of every source, or of the rows together.
    """
    recipe = context.recipe
    fetched = fetch_all(recipe.data.sources, context.once, context.progress)
    rows = read_all(fetched, context.progress)
    prepared = prepare(rows, recipe.task, data=recipe.data, splits=recipe.splits)
    write_examples(context.workdir / "train.jsonl", prepared.train)
    write_examples(context.workdir / "validation.jsonl", prepared.validation)
    summary = json.dumps(to_json(prepared.summary), ensure_ascii=False, indent=2)
    (context.workdir / "summary.json").write_text(f"{summary}\n", encoding="utf-8")
    _keep_holdout(context, prepared.holdout)


def _keep_holdout(context: StageContext, examples: Sequence[Example]) -> None:
    """Write the holdout into a product of its own; nothing given to training names it."""

    def build(folder: Path) -> None:
        write_examples(folder / "holdout.jsonl", examples)

    context.once(HOLDOUT, {"data": context.key}, build)
