"""Rows that a model has answered or written, beside those with labels: as training reads them, and as baselines do."""

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.artifacts.results import READ, data_summary, write_json
from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example, write_examples
from engine.data.examples.output import split_digest
from engine.data.reading.sources import fetch_all, read_all, sources_read
from engine.data.splitting.subsets import Fold
from engine.data.unlabelled import UnlabelledRows, unlabelled_rows
from engine.inference import predict
from engine.inference.baselines.runner import Asker, facts_of, note
from engine.inference.cached import judged_validation
from engine.metrics.predictions import Judging, read_predictions
from engine.metrics.scoring import score
from engine.recipe.model import Recipe, Source, SplitName
from engine.recipe.teacher import on_added_rows
from engine.store import Artifact
from engine.values import replace, to_json


def keep_rows(
    context: StageContext, rows: Sequence[Example], *, product: str, stage: str
) -> Artifact:
    """Return the product that holds the training rows with those that a stage adds."""
    train = [*context.examples("train"), *rows]

    def build(folder: Path) -> None:
        write_examples(folder / "train.jsonl", train)
        write_examples(folder / "validation.jsonl", context.examples("validation"))
        summary = data_summary(context.artifacts["data"])
        counts = count_labels(context.recipe, train)
        seen = sum(row.repeat for row in train)
        digest = split_digest(((row.input, row.target) for row in train), context.scratch)
        splits = tuple(
            replace(one, rows=len(train), seen=seen, labels=counts, digest=digest)
            if one.name == "train"
            else one
            for one in summary.splits
        )
        write_json(folder / "summary.json", to_json(replace(summary, splits=splits)), indent=2)

    return context.cached(product, {stage: context.key}, build)


def rows_without_labels(
    context: StageContext,
    recipe: Recipe,
    sources: Sequence[Source],
    splits: Mapping[SplitName, Sequence[Example]],
    *,
    most: int = 0,
    path: str = "teacher.inputs",
) -> UnlabelledRows:
    """Return rows as `unlabelled_rows` does, after a record of the files that they come from, and of rows left out."""
    fetched = fetch_all(sources, context.cached, context.progress)
    found = unlabelled_rows(
        read_all(fetched, context.progress),
        recipe,
        sources=sources,
        splits=splits,
        most=most,
        path=path,
        listed=context.workdir / "left_out.jsonl",
        scratch=context.scratch,
        step=lambda what, rows: context.progress.update(rows, rows, "rows", now=what),
    )
    read = {"sources": sources_read(fetched), "rows": found.read}
    write_json(context.workdir / READ, read, indent=2)
    return found


def count_labels(recipe: Recipe, rows: Iterable[Example]) -> dict[str, int]:
    counts = Counter(label for row in rows for label in row.labels)
    return {label: counts[label] for label in recipe.task.labels}


def baselines_on(asker: Asker, rows: Sequence[Example], *, by: str) -> list[dict[str, Any]]:
    """Train the baselines that learn and can be had on the student's rows, ask them the holdout, return their entries.

    `by` says how the rows came: `answered by the teacher`.
    """
    context, recipe = asker.context, asker.context.recipe
    train, validation, holdout = map(context.examples, ("train", "validation", "holdout"))
    judged = tuple(judged_validation(validation, recipe))
    fold = Fold(number=0, train=(*train, *rows), validation=judged, judged=tuple(holdout))
    found = []
    for baseline in on_added_rows(recipe):
        if asker.why_absent(baseline):
            continue
        key = {
            "rows": split_digest((row.input, row.target) for row in fold.train),
            "data": context.inputs["data"],
        }
        made = asker.product(baseline, fold, rows=key)
        file = context.workdir / f"predictions.{baseline.name}.jsonl"
        shutil.copyfile(made.file(predict.FILE), file)
        facts = facts_of([made])
        entry = {
            "name": baseline.name,
            "scores": to_json(score(read_predictions(file), Judging.of(recipe))),
            "seconds": round(made.seconds, 3),
            "note": f"{note(baseline, recipe, fold, facts)}, {len(rows)} of them {by}",
            "facts": facts,
        }
        found.append(entry)
    return found
