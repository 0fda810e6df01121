"""Data: read the sources, label, check and divide the rows; keep the holdout from training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from engine.data.example import Example, write_examples
from engine.data.prepare import prepare
from engine.data.readers import read_rows
from engine.data.row import Row
from engine.errors import DataError, Problem
from engine.evidence import to_json
from engine.recipe.formats import format_of
from engine.recipe.model import HubRef, PackageRef, Recipe, Source
from engine.sources import fetch_source
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
EVERY = 5000
"""Rows between two lines of progress."""


def recipe_slice(recipe: Recipe) -> Payload:
    """Return what decides the splits; the bytes of the sources are added to the key by the plan."""
    data = recipe.data
    return {
        "input": recipe.task.input,
        "labels": recipe.task.labels,
        "sources": [_source_slice(source) for source in data.sources],
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
    paths = _fetch_all(context)
    rows = _read_all(paths, recipe.data.sources, context)
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


def _source_slice(source: Source) -> Payload:
    name = _name(source)
    return {
        "name": name,
        "format": format_of(name, source.format),
        "header": source.header,
        "encoding": source.encoding,
        "quoting": source.quoting,
        "config": source.config,
        "split": source.split,
        "hub_file": source.hub_file,
    }


def _name(source: Source) -> str:
    """Return the file name that rows are told by; a name, not a path."""
    ref = source.ref
    if isinstance(ref, HubRef):
        return PurePosixPath(source.hub_file).name or "rows.parquet"
    return PurePosixPath(ref.file).name if isinstance(ref, PackageRef) else ref.path.name


def _fetch_all(context: StageContext) -> list[Path]:
    """Fetch every source; what is wrong with any of them is told together."""
    paths: list[Path] = []
    problems: list[Problem] = []
    for source in context.recipe.data.sources:
        try:
            paths.append(fetch_source(source, context.once, context.progress))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return paths


def _read_all(
    paths: Sequence[Path], sources: Sequence[Source], context: StageContext
) -> Iterator[Row]:
    """Yield the rows of all files; a file with problems does not hide those of the next."""
    problems: list[Problem] = []
    count = 0
    for path, source in zip(paths, sources, strict=True):
        try:
            for row in read_rows(path, source):
                count += 1
                if count % EVERY == 0:
                    context.progress.update(count, count, "rows", file=path.name)
                yield row
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
