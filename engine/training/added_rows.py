"""Rows that a model has answered or written, beside those with labels: as training reads them, and as baselines do."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.artifacts.results import data_summary, write_json
from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example, write_examples
from engine.data.examples.output import split_digest
from engine.data.splitting.subsets import Fold
from engine.evidence import DataSummary
from engine.inference import predict
from engine.inference.baselines.notes import note
from engine.inference.baselines.runner import Asker, facts_of
from engine.inference.cached import judged_validation
from engine.metrics.predictions import Judging, read_predictions
from engine.metrics.scoring import score
from engine.recipe.model import Baseline, Recipe
from engine.store import Artifact
from engine.values import Value, replace, to_json

FIRST = 0


class AddedRows(Value):
    rows: Sequence[Example]
    product: str
    """The inner product that holds them with the others."""
    stage: str
    """Who adds them."""
    by: str
    """How they came, for people: `answered by the teacher`."""


def keep_rows(context: StageContext, added: AddedRows) -> Artifact:
    train = [*context.examples("train"), *added.rows]

    def build(folder: Path) -> None:
        write_examples(folder / "train.jsonl", train)
        write_examples(folder / "validation.jsonl", context.examples("validation"))
        write_json(folder / "summary.json", to_json(_summary(context, train)), indent=2)

    return context.cached(added.product, {added.stage: context.key}, build)


def count_labels(recipe: Recipe, rows: Iterable[Example]) -> dict[str, int]:
    counts = Counter(label for row in rows for label in row.labels)
    return {label: counts[label] for label in recipe.task.labels}


def baseline_on(asker: Asker, baseline: Baseline, added: AddedRows) -> dict[str, Any]:
    """Train a baseline on the student's rows, ask it the holdout, and return its entry in `baselines.json`."""
    context, recipe = asker.context, asker.context.recipe
    train, validation, holdout = map(context.examples, ("train", "validation", "holdout"))
    fold = Fold(
        number=FIRST,
        train=(*train, *added.rows),
        validation=tuple(judged_validation(validation, recipe)),
        judged=tuple(holdout),
    )
    key = {"rows": split_digest(fold.train), "data": context.inputs["data"]}
    made = asker.product(baseline, fold, rows=key)
    file = context.workdir / f"predictions.{baseline.name}.jsonl"
    shutil.copyfile(made.file(predict.FILE), file)
    facts = facts_of([made])
    return {
        "name": baseline.name,
        "scores": to_json(score(read_predictions(file), Judging.of(recipe))),
        "seconds": round(made.seconds, 3),
        "note": f"{note(baseline, recipe, fold, facts)}, {len(added.rows)} of them {added.by}",
        "facts": facts,
    }


def _summary(context: StageContext, train: Sequence[Example]) -> DataSummary:
    summary = data_summary(context.artifacts["data"])
    counts = count_labels(context.recipe, train)
    splits = tuple(
        replace(
            split,
            rows=len(train),
            seen=sum(row.repeat for row in train),
            labels=counts,
            digest=split_digest(train, context.scratch),
        )
        if split.name == "train"
        else split
        for split in summary.splits
    )
    return replace(summary, splits=splits)
