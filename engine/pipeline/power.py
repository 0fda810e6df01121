"""What the rows that will judge can show: the power check of a recipe, from what data has counted.

Read by the plan before anything is trained, and by the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from engine.artifacts.results import data_summary
from engine.evidence import DataSummary
from engine.lock.previous import answers_of
from engine.metrics.families.fields import is_right
from engine.metrics.power_text import JudgingRows, PowerEstimates, estimate_power
from engine.metrics.predictions import read_predictions
from engine.recipe.model import Recipe
from engine.store import Artifact

UNCOUNTED = "What the holdout can show is known after data: its rows are not counted yet."


def power_estimates(
    recipe: Recipe, data: Artifact | None, *, discordance: float | None = None
) -> PowerEstimates:
    """Return the power of each threshold on the holdout, or a note that its rows are not counted yet."""
    if not recipe.task.spec.is_measured or not recipe.acceptance.metrics:
        return PowerEstimates()
    summary = None if data is None else data_summary(data)
    judges = _judges(recipe, summary)
    if judges is None:
        return PowerEstimates(note=UNCOUNTED)
    return estimate_power(
        recipe.acceptance,
        recipe.task,
        judges,
        has_baselines=bool(recipe.baselines),
        discordance=discordance,
    )


def measured_discordance(recipe: Recipe, artifacts: Mapping[str, Artifact]) -> float | None:
    """Return on which share of rows only one of tuned model and a baseline is right, the largest one.

    None before both have answered, and for kinds without one right answer a row.
    """
    stage, file = answers_of(recipe)
    if not recipe.task.spec.has_one_answer or not {stage, "baseline"} <= artifacts.keys():
        return None
    tuned = _right(artifacts[stage].file(file))
    found = [
        [hit != tuned.get(key) for key, hit in _right(baseline).items()]
        for baseline in artifacts["baseline"].path.glob("predictions.*.jsonl")
    ]
    return max((sum(differs) / len(differs) for differs in found if differs), default=None)


def _right(file: Path) -> dict[str, bool]:
    return {row.id: is_right(row) for row in read_predictions(file)}


def _judges(recipe: Recipe, summary: DataSummary | None) -> JudgingRows | None:
    """Return the rows that will decide: the holdout's, with folds all of them; None while unknown."""
    splits = recipe.splits
    if summary is None:
        # a number of rows is known before they are read, a fraction is not
        is_counted = isinstance(splits.holdout, int) and splits.holdout > 0 and not splits.folds
        return JudgingRows(rows=int(splits.holdout)) if is_counted else None
    judging = [split for split in summary.splits if splits.folds or split.name == "holdout"]
    labels: Counter[str] = Counter()
    for split in judging:
        labels.update(split.labels)
    groups = [split.groups for split in judging if split.groups is not None]
    rows = sum(split.rows for split in judging)
    if not rows:
        return None
    return JudgingRows(rows=rows, classes=dict(labels), groups=sum(groups) if groups else None)
