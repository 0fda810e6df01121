"""Show the rows that a model has written for a recipe, or write a file in which people review them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.artifacts.results import synthetic
from engine.cli.output import read_recipe, show, show_json, show_problems, store_of, write_file
from engine.data.examples.example import read_examples
from engine.data.review_file import review_text
from engine.environment import detect_device
from engine.errors import RecipeError, StageError
from engine.files.reading import json_lines, read_json
from engine.pipeline.plan import collect_inputs, plan_run
from engine.recipe.model import Recipe
from engine.recipe.teacher import review_file
from engine.recipe.text.paths import as_typed
from engine.render.report.sections.data import synthetic_lines
from engine.store import Artifact, Store

WIDTH = 160
"""Characters of a row in a line."""


def run(options: argparse.Namespace) -> None:
    """Show what the stage `synthesize` left; nothing is asked of a model."""
    recipe, warnings = read_recipe(options)
    if options.format != "json":
        show_problems(warnings)
    if recipe.data.synthesize is None:
        raise RecipeError.one(
            "X753",
            "the recipe asks for no synthetic rows",
            path="data.synthesize",
            hint="recipe schema data.synthesize",
        )
    made = _made(recipe, Store(store_of(options)), options.recipe)
    if options.review:
        _write_review(recipe, made, options)
        return
    name = "refused.jsonl" if options.refused else "synthetic.jsonl"
    rows = [json.loads(line) for line in json_lines(made.file(name).read_text(encoding="utf-8"))]
    shown = rows[: options.rows] if options.rows else rows
    if options.format == "json":
        found = read_json(made.file("synthetic.json"))
        show_json({"schema": "synthetic.v1", "result": found, "rows": shown})
        return

    result = synthetic({"synthesize": made})
    lines = list(synthetic_lines(result)) if result else []
    lines += [_shown(row) for row in shown]
    lines += [f"and {len(rows) - len(shown)} more: --rows 0"] if len(shown) < len(rows) else []
    show("\n".join(lines))


def _made(recipe: Recipe, store: Store, shown: Path) -> Artifact:
    """Return what the stage left. StageError X754 where it has not run as the recipe is now."""
    plan = plan_run(recipe, store, inputs=collect_inputs(recipe, store, detect_device()))
    made = plan.stage("synthesize").reused
    if made is None:
        raise StageError.one(
            "X754",
            "the rows of this recipe are not written yet",
            path="data.synthesize",
            hint=f"recipe run {as_typed(shown)} --until synthesize",
        )
    return made


def _write_review(recipe: Recipe, made: Artifact, options: argparse.Namespace) -> None:
    """Write the review file. RecipeError X755 where there is no name for it, or a file has it."""
    file = review_file(recipe)
    if file is None:
        raise RecipeError.one(
            "X755",
            "the recipe names no file for the review",
            path="data.synthesize.review",
            hint="add it: review: rows-to-review.csv",
        )
    if file.path.exists() or file.path.is_symlink():
        raise RecipeError.one(
            "X755",
            f"`{file.written}` is already there, and may hold marks",
            path="data.synthesize.review",
            hint="delete it, or name another file",
        )
    rows = read_examples(made.file("review.jsonl"))
    write_file(file.path, review_text(rows, suffix=file.path.suffix))
    show(
        f"wrote {file.written}: {len(rows)} rows\n"
        "write yes or no in the column `ok` of each row, then: "
        f"recipe run {as_typed(options.recipe)}"
    )


def _shown(row: Mapping[str, Any]) -> str:
    if "why" not in row:
        return f"{row['origin']}  {_short(row['target'])}  {_short(row['input'])}"
    text = _short(row["text"]) if "text" in row else ""
    return f"synthetic:{row['number']}  {row['why']}  {text}".rstrip()


def _short(text: str) -> str:
    # the text is a stranger's: escape sequences in it would steer the terminal
    line = "".join(one if one.isprintable() else " " for one in " ".join(text.split()))
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}…"
