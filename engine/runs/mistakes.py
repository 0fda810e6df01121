"""The wrong validation rows of a finished run with whole texts, read from the store, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from engine.artifacts.mistakes import wrong_rows
from engine.data.review_file import inert
from engine.evidence import Mistake
from engine.runs.compare import no_answers, recipe_of
from engine.store import Store
from engine.store.runs import read_record, require_ours
from engine.values import fields, to_json


def mistakes_of(run: Path, store: Store) -> list[Mistake]:
    """Return the rows, the most confident first. RecipeError R031 where there are none; StoreError E751, E758."""
    require_ours(run, "its rows are not shown")
    recipe, stages = recipe_of(run), read_record(run).get("stages", {})
    keys = (str(stages.get(stage, {}).get("key", "")) for stage in ("evaluate", "data"))
    answers, data = (store.whole(key) if key else None for key in keys)
    if answers is None or data is None or not recipe.task.spec.right_share:
        why = "holds no answers of a tuned model that are right or wrong"
        raise no_answers(
            run, why, "recipe run RECIPE makes them; or name the store: --store FOLDER"
        )
    return wrong_rows(answers, data, recipe.task)


def as_csv(rows: Sequence[Mistake]) -> str:
    """Return a table in which no cell is a formula."""
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(one.name for one in fields(Mistake))
    for row in rows:
        values = {**to_json(row), "differs": "; ".join(row.differs)}.values()
        table.writerow(inert(one) if isinstance(one, str) else one for one in values)
    return stream.getvalue()
