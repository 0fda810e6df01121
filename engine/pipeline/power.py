"""What the rows that will judge can show: the power check of a recipe, from what data has counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.artifacts.results import baselines
from engine.errors import Problem
from engine.evidence import DataSummary
from engine.lock.previous import answers_of
from engine.metrics.families.fields import is_right
from engine.metrics.power_text import Discordance, JudgingRows, PowerEstimates, estimate_power
from engine.metrics.predictions import read_predictions
from engine.metrics.scoring import named_metrics
from engine.recipe.baselines import UNTRAINED
from engine.recipe.metrics import is_lower_better
from engine.recipe.model import Recipe
from engine.store import Artifact

UNCOUNTED = "What the holdout can show is known after data: its rows are not counted yet."


def power_estimates(
    recipe: Recipe, summary: DataSummary | None, *, discordance: Discordance | None = None
) -> PowerEstimates:
    if not recipe.task.spec.is_measured or not recipe.acceptance.metrics:
        return PowerEstimates()
    splits = recipe.splits
    judges = None if summary is None else JudgingRows.of(summary)
    # a number of rows is known before they are read, a fraction is not
    is_counted = isinstance(splits.holdout, int) and splits.holdout > 0 and not splits.folds
    if summary is None and is_counted:
        judges = JudgingRows(rows=int(splits.holdout))
    if judges is None:
        return PowerEstimates(note=UNCOUNTED)
    return estimate_power(
        recipe.acceptance,
        recipe.task,
        judges,
        has_baselines=bool(recipe.baselines),
        discordance=discordance,
    )


def too_few_groups(recipe: Recipe, found: PowerEstimates) -> tuple[Problem, ...]:
    folds = "" if recipe.splits.folds else ", let all groups judge (`splits.folds`)"
    return tuple(
        Problem(
            code="D437",
            message=f"can never pass: {one.sentence.removesuffix('.')}",
            path=f"acceptance.metrics.{one.metric}",
            hint=f"add groups{folds} or lower the bound",
        )
        for one in found.estimates
        if one.is_out_of_reach
    )


def measured_discordance(recipe: Recipe, artifacts: Mapping[str, Artifact]) -> Discordance | None:
    """Return on which share of rows only one of the tuned model and the best baseline is right.

    Before the model is trained, the untrained base model is its stand-in, where it has answered. None before two
    models have, and for kinds without one right answer a row.
    """
    gains, (stage, file) = recipe.acceptance.over_baselines, answers_of(recipe)
    if not gains or not recipe.task.spec.has_one_answer or "baseline" not in artifacts:
        return None
    answers = {
        found.name.split(".", 1)[1].removesuffix(".jsonl"): _right(found)
        for found in artifacts["baseline"].path.glob("predictions.*.jsonl")
    }
    # By what they reach on the first metric of `over_baselines`, the best first.
    metric, kind = gains[0].metric, recipe.task.kind
    reached = {one.name: named_metrics(one.scores)[metric] for one in baselines(artifacts, recipe)}
    known = {name: one.value for name, one in reached.items() if one.value is not None}
    order = sorted(known, key=known.__getitem__, reverse=not is_lower_better(metric, kind))
    answers = {name: answers[name] for name in order if name in answers}
    stand_in = next((name for name in reversed(UNTRAINED) if name in answers), None)
    if stage in artifacts:
        model, words = _right(artifacts[stage].file(file)), "measured, the tuned model against {}"
    elif stand_in is not None:
        model = answers.pop(stand_in)
        words = f"`{stand_in}` against {{}}, a stand-in until the model is trained"
    else:
        return None
    shares = {
        name: sum(hit != model.get(key) for key, hit in asked.items()) / len(asked)
        for name, asked in answers.items()
        if asked
    }
    best = next(iter(shares), None)
    return (
        None if best is None else Discordance(share=shares[best], source=words.format(f"`{best}`"))
    )


def _right(file: Path) -> dict[str, bool]:
    return {row.id: is_right(row) for row in read_predictions(file)}
