"""Rows: of a recipe's data, those that a model wrote, and those that a model has labelled."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.artifacts import results
from engine.cli.confinement import confine_run
from engine.cli.output import (
    read_recipe,
    show,
    show_json,
    show_problems,
    show_result,
    store_and_warnings,
    store_of,
    write_file,
)
from engine.cli.runs import find_run
from engine.cli.streams import others_to
from engine.cli.watch import Artifacts, Console
from engine.data.examples.example import read_examples
from engine.data.synthetic import review_text
from engine.environment import detect_device
from engine.errors import ExitCode, RecipeError, StageError, listed
from engine.evidence import CountDifference, RowCounts, StageRecord
from engine.files.reading import json_lines, parse_json, read_json
from engine.pipeline.plan import collect_inputs, plan_run
from engine.pipeline.requirements import refuse_outside
from engine.progress import Progress
from engine.recipe.model import Recipe
from engine.recipe.teacher import review_file
from engine.recipe.text.paths import as_typed
from engine.render.data import data_json, data_text
from engine.render.number_format import number
from engine.render.progress_display import columns, has_colour
from engine.render.report.sections.data import synthetic_lines
from engine.runs.data_view import ViewOptions, look
from engine.store import Artifact, Store
from engine.values import to_json

NARROWEST = 60
"""Columns below which lines are left to the terminal to wrap."""


def data(options: argparse.Namespace) -> int:
    recipe, warnings = read_recipe(options)
    refuse_outside(recipe, warnings)
    given = options.examples
    wish = ViewOptions(
        examples=given if given is not None else 10 if options.label else 1,
        label=options.label,
        row=options.row,
        tokens=not options.no_tokens,
    )
    root, warnings = store_and_warnings(options, warnings)
    confine_run(options, recipe, root)
    log = root / "logs" / f"data-{os.getpid()}.log"
    as_json = options.format == "json"
    with others_to(log) as terminal:
        live = _Live(terminal, quiet=False)
        looked = look(recipe, wish, root=root, watcher=live)
        live.close()
    if as_json:
        show_json(data_json(looked.view, looked.problems))
        return looked.code
    show_problems(warnings)
    width = max(NARROWEST, columns(sys.stdout))
    show(data_text(looked.view, width=width, colour=has_colour(sys.stdout)))
    # Before the problems, where both streams go to one place.
    sys.stdout.flush()
    show_problems(looked.problems)
    return looked.code


class _Live(Console):
    """Progress while it happens, as that of a run, and no results of stages: the view says what came of it."""

    def stage(self, name: str) -> Progress:
        self.close()
        return super().stage(name)

    def ended(self, record: StageRecord, artifacts: Artifacts, recipe: Recipe) -> None:  # noqa: ARG002
        self.close()


WIDTH = 160
"""Characters of a row in a line."""


def synthetic(options: argparse.Namespace) -> None:
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
    store = Store(store_of(options))
    plan = plan_run(recipe, store, inputs=collect_inputs(recipe, store, detect_device()))
    made = plan.stage("synthesize").reused
    if made is None:
        raise StageError.one(
            "X754",
            "the rows of this recipe are not written yet",
            path="data.synthesize",
            hint=f"recipe run {as_typed(options.recipe)} --until synthesize",
        )
    if options.review:
        _write_review(recipe, made, options)
        return
    name = "refused.jsonl" if options.refused else "synthetic.jsonl"
    rows = [parse_json(line) for line in json_lines(made.file(name).read_text(encoding="utf-8"))]
    shown = rows[: options.rows] if options.rows else rows
    if options.format == "json":
        found = read_json(made.file("synthetic.json"))
        show_json({"schema": "synthetic.v1", "result": found, "rows": shown})
        return

    result = results.synthetic({"synthesize": made})
    lines = list(synthetic_lines(result)) if result else []
    lines += [_shown(row) for row in shown]
    lines += [f"and {len(rows) - len(shown)} more: --rows 0"] if len(shown) < len(rows) else []
    show("\n".join(lines))


def _write_review(recipe: Recipe, made: Artifact, options: argparse.Namespace) -> None:
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


CONFIDENCE: Final = 0.95
_EFFECTS: Final = {
    "labels": "share of rows with another label",
    "confidence": "largest distance of probabilities",
    "characters": "largest distance of lengths",
    "similarity": "largest distance of similarities to the nearest training row",
    "abstained": "difference of abstentions",
}


def drift(options: argparse.Namespace) -> ExitCode:
    from engine.runs import row_drift  # brings numpy

    now = row_drift.read_counts(options.counts)
    if options.model.endswith(".json"):
        reference = row_drift.read_counts(Path(options.model))
    else:
        run = find_run(options.model, options)
        reference = row_drift.holdout_counts(run, Store(store_of(options)))
    row_drift.require_comparable(reference, now)
    found = row_drift.differences(reference, now, confidence=CONFIDENCE)
    fields = {
        "schema": "drift.v1",
        "drift": any(one.differs for one in found),
        "rows": {"holdout": reference.rows, "new": now.rows},
        "differences": [to_json(one) for one in found],
    }
    show_result(options, fields, "\n".join(_drift_lines(reference, now, found)))
    return ExitCode.REFUSED if fields["drift"] else ExitCode.ACCEPTED


def _drift_lines(
    reference: RowCounts, now: RowCounts, found: Sequence[CountDifference]
) -> list[str]:
    differing = listed([one.what for one in found if one.differs])
    answer = f"DRIFT in {differing}" if differing else "NO DRIFT SHOWN"
    lines = [f"{answer}: {now.rows:,} rows against {reference.rows:,} of the holdout"]
    for one in found:
        verdict = "differs" if one.differs else "no difference shown"
        size = f"{_EFFECTS[one.what]} {number(one.effect)}"
        lines.append(
            f"  {one.what:<11} {verdict}: {size}, p {one.p_value:.4f}, {one.p_adjusted:.4f} after Holm"
        )
    if not any(one.what == "abstained" for one in found):
        lines.append("  abstained   not compared: there is no threshold, or another one")
    lines.append(
        "Permutation tests of rows that are taken to be independent. Whether answers are right takes rows with labels."
    )
    return lines
