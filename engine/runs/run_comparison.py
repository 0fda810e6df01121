"""Two finished runs on the same holdout rows: what `recipe compare` does, importable. Nothing is asked anew."""

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
from engine.lock.previous import answers_of
from engine.metrics.comparing import comparisons_with, corrected
from engine.metrics.families.fields import is_right
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.metrics.resampling import pair
from engine.pipeline.plan import products
from engine.recipe import check_recipe, load_recipe
from engine.recipe.model import Recipe
from engine.runs.find import left_by, size_of
from engine.store import Store, make_key
from engine.store.records import read_file, read_record, require_ours
from engine.values import Value, fields, replace, to_json


def mistakes_of(run: Path, store: Store) -> list[Mistake]:
    """Return the rows, the most confident first. RecipeError R031 where there are none; StoreError E751, E758."""
    require_ours(run, "its rows are not shown")
    recipe, record = recipe_of(run), read_record(run)
    answers, data = (left_by(stage, record, store) for stage in ("evaluate", "data"))
    if answers is None or data is None or not recipe.task.spec.right_share:
        why = "holds no answers of a tuned model that are right or wrong"
        raise no_answers(
            run, why, "recipe run RECIPE makes them; or name the store: --store FOLDER"
        )
    return wrong_rows(answers, data, recipe.task)


def as_csv(rows: Sequence[Mistake]) -> str:
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(one.name for one in fields(Mistake))
    for row in rows:
        values = {**to_json(row), "differs": "; ".join(row.differs)}.values()
        table.writerow(inert(one) if isinstance(one, str) else one for one in values)
    return stream.getvalue()


RESOLVED = "recipe.resolved.yaml"
QUANTIZED = "predictions.quantized.jsonl"


class FinishedRun(Value):
    folder: Path
    recipe: Recipe
    answers: Sequence[Prediction]
    exported: Sequence[Prediction]
    report: Mapping[str, Any]
    texts: Mapping[str, str]
    """What was asked, by row; empty where the store no longer has it."""

    @property
    def name(self) -> str:
        return f"{self.recipe.name}/{self.folder.name}"


class ChangedAnswer(Value):
    id: str
    text: str
    target: str
    first: str
    second: str
    became: str
    """`right`, `wrong`, or `another wrong one`, going from the first to the second."""


class RunComparison(Value):
    """The second run against the first: more is better for the second."""

    first: FinishedRun
    second: FinishedRun
    rows: int
    partial: bool
    of_files: bool
    comparisons: tuple[Comparison, ...]
    tuned: tuple[Comparison, ...]
    """Of the tuned models, where the files are compared: in the main metric."""
    changed: tuple[ChangedAnswer, ...]


def read_run(folder: Path, store: Store) -> FinishedRun:
    """Read a run. RecipeError R031 where it holds no answers to compare, or the store no longer does.

    StoreError: E751 it was not made here, E758 its files changed since.
    """
    require_ours(folder, "it is not compared")
    path = folder / RESOLVED
    if not path.is_file():
        raise no_answers(folder, "has no resolved recipe", "run its recipe again")
    recipe = recipe_of(folder)
    stage, file = answers_of(recipe)
    record = read_record(folder)
    artifact = left_by(stage, record, store)
    if artifact is None or not (artifact.path / file).is_file():
        outcome = record.get("outcome", "unknown")
        why = f"holds no answers of a tuned model (it ended: {outcome})"
        hint = "recipe run RECIPE makes them; or name the store: --store FOLDER"
        if outcome == "baseline_passes":
            hint = "set stop_if_baseline_passes: false in its recipe, and run that: it trains all the same"
        raise no_answers(folder, why, hint)
    texts: dict[str, str] = {}
    if (payload := record.get("payloads", {}).get("data")) is not None:
        made = store.get(products("data", make_key(payload)).get("holdout", "-"))
        if made is not None:
            with made.file("holdout.jsonl").open(encoding="utf-8") as lines:
                texts = {
                    str(row["id"]): str(row.get("input", "")) for row in map(parse_json, lines)
                }
    verified = left_by("verify", record, store)
    quantized = verified.path / QUANTIZED if verified and not recipe.splits.folds else None
    return FinishedRun(
        folder=folder,
        recipe=recipe,
        answers=read_predictions(artifact.file(file)),
        exported=read_predictions(quantized) if quantized and quantized.is_file() else (),
        report=parse_json(read_file(folder, "report.json")),
        texts=texts,
    )


def recipe_of(folder: Path) -> Recipe:
    """Return the recipe of a run: resolved, or as written where an older version resolved it otherwise."""
    found, _ = check_recipe(folder / RESOLVED, read=lambda file: read_file(folder, file.name))
    if found is not None:
        return found
    return load_recipe(folder / "recipe.yaml", read=lambda file: read_file(folder, file.name))[0]


def no_answers(folder: Path, why: str, hint: str) -> RecipeError:
    return RecipeError.one("R031", f"run `{folder.parent.name}/{folder.name}` {why}", hint=hint)


def compare_runs(first: FinishedRun, second: FinishedRun, *, shared_only: bool) -> RunComparison:
    """Compare two runs row by row. RecipeError R032 where their tasks or holdouts differ.

    `shared_only` compares on the rows that both holdouts have.
    """
    tasks = first.recipe.task, second.recipe.task
    if tasks[0].kind != tasks[1].kind or set(tasks[0].labels) != set(tasks[1].labels):
        what = "kinds" if tasks[0].kind != tasks[1].kind else "labels"
        raise RecipeError.one(
            "R032",
            f"the two runs have different {what} of tasks: their answers mean different things",
            hint="compare runs of one task",
        )
    known = {row.id: row for row in first.answers}
    both = [
        row.id for row in second.answers if row.id in known and known[row.id].target == row.target
    ]
    partial = len(both) < max(len(first.answers), len(second.answers))
    if partial and (not shared_only or not both):
        shared = len(both)
        counts = f"{len(first.answers):,} and {len(second.answers):,} rows"
        message = (
            f"the two runs were judged on different holdouts: {counts}, {shared:,} of them shared"
        )
        hint = f"compare on the {shared:,} shared rows: --shared" if shared else "they share no row"
        raise RecipeError.one("R032", message, hint=hint)
    chosen = set(both)
    # those of the first are in the order of its own recipe
    is_same = first.recipe.task.labels == second.recipe.task.labels
    tuned, files = (
        (
            [row if is_same else replace(row, probabilities=()) for row in one if row.id in chosen],
            [row for row in two if row.id in chosen],
        )
        for one, two in ((first.answers, second.answers), (first.exported, second.exported))
    )
    of_files = all(files)
    one, two = files if of_files else tuned
    tested = _comparisons(second.recipe, tuned[1], tuned[0]) if of_files else ()
    others, texts = {row.id: row for row in two}, {**first.texts, **second.texts}
    changed, order = [], {"wrong": 0, "right": 1, "another wrong one": 2}
    for row in one:
        pair_of = (row, others[row.id])
        right = [is_right(each) for each in pair_of]
        before, after = (each.text if each.label is None else each.label for each in pair_of)
        if row.nats is not None or before == after or all(right):
            continue
        became = "right" if right[1] else "wrong" if right[0] else "another wrong one"
        changed.append(
            ChangedAnswer(
                id=row.id, text=texts.get(row.id, ""), target=row.target,
                first=before, second=after, became=became,
            )
        )  # fmt: skip
    return RunComparison(
        first=first,
        second=second,
        rows=len(both),
        partial=partial,
        of_files=of_files,
        tuned=tested[:1],
        comparisons=_comparisons(second.recipe, two, one),
        changed=tuple(sorted(changed, key=lambda turn: (order[turn.became], turn.id))),
    )


def _comparisons(
    recipe: Recipe, tuned: Sequence[Prediction], before: Sequence[Prediction]
) -> tuple[Comparison, ...]:
    """Return the differences on every metric and class; only those of bounds and the main one are tested."""
    judging = Judging.of(recipe)
    models, main = pair(tuned, before, judging), judging.main
    # p-values are corrected for their number, so what nobody asked about is not tested
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

    def run_facts(run: FinishedRun) -> dict[str, Any]:
        file, size = size_of(run.report)
        return {
            "run": run.name,
            "folder": run.folder.as_posix(),
            "outcome": run.report.get("outcome"),
            "file": file or None,
            "bytes": size or None,
            "tokens_per_second": speed_of(run.report),
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
