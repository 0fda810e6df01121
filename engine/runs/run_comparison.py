"""Comparison of two finished runs on the same holdout rows, without new answers: `recipe compare`, importable."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.artifacts.mistakes import wrong_rows
from engine.data.synthetic import inert
from engine.errors import RecipeError
from engine.evidence import Comparison, Mistake
from engine.files.reading import parse_json
from engine.metrics.comparing import comparisons_with, corrected
from engine.metrics.families.fields import is_right
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import pair
from engine.recipe.model import Recipe
from engine.runs.stored_run import MAKES_THEM, StoredRun, size_of
from engine.store import Store
from engine.values import Value, fields, replace, to_json


def mistakes_of(folder: Path, store: Store) -> list[Mistake]:
    """Return the rows, the most confident first. RecipeError R031 where there are none; StoreError E751, E758."""
    run = StoredRun(folder, store, refused="its rows are not shown")
    answers, data = run.result_of("evaluate"), run.result_of("data")
    if answers is None or data is None or not run.recipe.task.spec.right_share:
        why = "holds no answers of a tuned model that are right or wrong"
        raise run.no_answers(why, MAKES_THEM)
    return wrong_rows(answers, data, run.recipe.task)


def as_csv(rows: Sequence[Mistake]) -> str:
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(one.name for one in fields(Mistake))
    for row in rows:
        values = {**to_json(row), "differs": "; ".join(row.differs)}.values()
        table.writerow(inert(one) if isinstance(one, str) else one for one in values)
    return stream.getvalue()


class ChangedAnswer(Value, kw_only=False):
    id: str
    text: str
    target: str
    first: str
    second: str
    became: str
    """The second answer: `right`, `wrong`, or `another wrong one`."""


class RunComparison(Value):
    """The second run against the first: more is better for the second."""

    first: StoredRun
    second: StoredRun
    rows: int
    partial: bool
    of_files: bool
    comparisons: tuple[Comparison, ...]
    tuned: tuple[Comparison, ...]
    """The tuned models in the main metric, where the exported files are compared."""
    changed: tuple[ChangedAnswer, ...]


def compare_runs(first: StoredRun, second: StoredRun, *, shared_only: bool) -> RunComparison:
    """Compare two runs row by row, only on shared rows with `shared_only`.

    RecipeError R031 where the tuned model of one has no answers, R032 where tasks or holdouts differ.
    """
    tasks = first.recipe.task, second.recipe.task
    if tasks[0].kind != tasks[1].kind or set(tasks[0].labels) != set(tasks[1].labels):
        what = "kinds" if tasks[0].kind != tasks[1].kind else "labels"
        raise RecipeError.one(
            "R032",
            f"the two runs have different {what} of tasks: their answers mean different things",
            hint="compare runs of one task",
        )
    targets = {row.id: row.target for row in first.answers}
    shared = {row.id for row in second.answers if targets.get(row.id) == row.target}
    count = len(shared)
    partial = count < max(len(first.answers), len(second.answers))
    if partial and not (shared_only and shared):
        counts = f"{len(first.answers):,} and {len(second.answers):,} rows"
        message = (
            f"the two runs were judged on different holdouts: {counts}, {count:,} of them shared"
        )
        hint = f"compare on the {count:,} shared rows: --shared" if count else "they share no row"
        raise RecipeError.one("R032", message, hint=hint)
    # probabilities are in the order of a recipe's labels
    is_same = first.recipe.task.labels == second.recipe.task.labels
    tuned, files = (
        (
            [row if is_same else replace(row, probabilities=()) for row in one if row.id in shared],
            [row for row in two if row.id in shared],
        )
        for one, two in ((first.answers, second.answers), (first.exported, second.exported))
    )
    of_files = all(files)
    one, two = files if of_files else tuned
    tested = _comparisons(second.recipe, tuned[1], tuned[0]) if of_files else ()
    by_id, texts = {row.id: row for row in two}, {**first.texts, **second.texts}
    changed, order = [], {"wrong": 0, "right": 1, "another wrong one": 2}
    for row in one:
        answers = (row, by_id[row.id])
        was_right, right = map(is_right, answers)
        before, after = (each.text if each.label is None else each.label for each in answers)
        if row.nats is not None or before == after or (was_right and right):
            continue
        became = "right" if right else "wrong" if was_right else "another wrong one"
        text = texts.get(row.id, "")
        changed.append(ChangedAnswer(row.id, text, row.target, before, after, became))
    return RunComparison(
        first=first,
        second=second,
        rows=count,
        partial=partial,
        of_files=of_files,
        tuned=tested[:1],
        comparisons=_comparisons(second.recipe, two, one),
        changed=tuple(sorted(changed, key=lambda turn: (order[turn.became], turn.id))),
    )


def _comparisons(
    recipe: Recipe, tuned: Sequence[Prediction], before: Sequence[Prediction]
) -> tuple[Comparison, ...]:
    """Return the differences on every metric and class; only the main one and those with bounds are tested."""
    judging = Judging.of(recipe)
    models, main = pair(tuned, before, judging), judging.main
    # p-values are corrected for their number, so other metrics are not tested
    gated = {main, *(bound.metric for bound in recipe.acceptance.metrics)}
    found = comparisons_with("first", models, models.measures, tested=gated)
    ordered = sorted(found, key=lambda one: (one.metric != main, one.metric not in gated))
    return corrected(ordered)


def speed_of(report: Mapping[str, Any]) -> float | None:
    for rung in reversed(report.get("ladder", ())):
        for metric in rung.get("scores", {}).get("metrics", ()):
            if metric["name"] == "tokens_per_second" and metric["value"] is not None:
                return float(metric["value"])
    return None


def as_json(found: RunComparison) -> dict[str, Any]:

    def run_facts(run: StoredRun) -> dict[str, Any]:
        report = parse_json(run.report_text)
        file, size = size_of(report)
        return {
            "run": run.name,
            "folder": run.folder.as_posix(),
            "outcome": report.get("outcome"),
            "file": file or None,
            "bytes": size or None,
            "tokens_per_second": speed_of(report),
        }

    return {
        "schema": "compare.v1",
        "first": run_facts(found.first),
        "second": run_facts(found.second),
        "rows": found.rows,
        "shared_only": found.partial,
        "of": "exported files" if found.of_files else "tuned models",
        "metrics": [to_json(one) for one in found.comparisons],
        "tuned": [to_json(one) for one in found.tuned],
        "flips": [to_json(one) for one in found.changed],
    }
