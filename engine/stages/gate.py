"""Is the tuned model good enough to be merged and shipped? Numbers in, one verdict out; no model.

The questions are those of `acceptance`: do the metrics keep their thresholds, does the model gain
enough over every baseline on the same rows, does it lose too much against the last accepted one, and
has it not learned its training rows by heart. With folds all but the last are asked of all rows, each
answered by the model that did not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from engine.artifacts import results
from engine.artifacts.stage import Payload, StageContext
from engine.evidence import Comparison, Scores, StudentAgainstTeacher, Verdict, to_json
from engine.lock.previous import answers_of
from engine.metrics.against_teacher import (
    against_teacher,
    compare_with_teacher,
    judge_against_teacher,
)
from engine.metrics.comparing import Earlier, Rivals, compare, judge_gains, judge_previous
from engine.metrics.drift import judge_drift
from engine.metrics.endings import judge_endings
from engine.metrics.forgetting import judge_forgetting
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.metrics.scoring import named_metrics
from engine.metrics.selective_checks import judge_selective
from engine.metrics.verdict import judge_gap, judge_thresholds, verdict
from engine.metrics.without_synthetic import compare_with_smaller, judge_without_synthetic
from engine.parity.calibration import calibrated_model
from engine.recipe.metrics import FREE, LIKELIHOODS
from engine.recipe.model import Acceptance, Recipe
from engine.values import dataclass

REVISION = 9
NEEDS = ("evaluate", "baseline")
TOOLS = ("numpy",)

FILE = "verdict.json"
COMPARISONS = "comparisons.json"
HOW_MEASURED = "free decoding: what a caller without a grammar gets"


@dataclass(frozen=True, slots=True, kw_only=True)
class _JudgedScores:
    """What the tuned model is judged by."""

    scores: Scores
    """By constrained decoding, where answers have a form."""
    free: Scores | None
    """None where the answers themselves are free, or none are given."""
    predictions: list[Prediction]
    """The same, on the rows that the baselines answered too."""


def also_needs(recipe: Recipe) -> tuple[str, ...]:
    """Return what only some recipes have: `resample` with folds, `forgetting` and `drift` where bounded, `teach`."""
    has = {
        # which holds the answers on all rows
        "resample": recipe.splits.folds or recipe.acceptance.over_without_synthetic,
        "forgetting": recipe.acceptance.forgetting,
        "drift": recipe.acceptance.drift,
        "teach": recipe.teacher,
        # whose size it is that is compared with the teacher's
        "train": recipe.teacher,
    }
    return tuple(name for name, there in has.items() if there)


def recipe_slice(recipe: Recipe) -> Payload:
    """Return what must hold, the task, and the seed of the paired draws."""
    return {
        "acceptance": _acceptance(recipe.acceptance),
        "task": asdict(recipe.task),
        "splits": {"seed": recipe.splits.seed},
    }


def _acceptance(acceptance: Acceptance) -> dict[str, Any]:
    """Return the bounds; what the probes are stands in the key of `forgetting`."""
    # in one order, so that bounds that are only written in another order keep the verdict
    bounds = asdict(replace(acceptance.in_order(), forgetting=None))
    if acceptance.against_teacher is None:
        del bounds["against_teacher"]  # so that verdicts from before there were teachers are kept
    # a review stands before the training; without the bound, keys are those from before it was there
    del bounds["synthetic"]
    if not acceptance.over_without_synthetic:
        del bounds["over_without_synthetic"]
    del bounds["stride"]  # how is measured, in the keys of what measures
    forgetting = acceptance.forgetting
    if acceptance.selective is None:
        del bounds["selective"]
    bounds["forgetting"] = None if forgetting is None else forgetting.max_drop
    if forgetting is not None and forgetting.text is not None:
        bounds["forgetting_text"] = forgetting.text.max_rise
    # where nothing of it is bounded, the key is that of versions that did not know it
    return {name: bound for name, bound in bounds.items() if name != "drift" or bound}


def run(context: StageContext) -> None:
    """Write `verdict.json` and `comparisons.json`."""
    judged = _judged(context)
    previous = context.previous
    since = previous.earlier(judged.predictions, recipe=context.recipe) if previous else Earlier()
    comparisons = _compare(context, judged, since)
    beside = _against_teacher(context, judged)
    taught = judge_against_teacher(beside, context.recipe.acceptance, rows=judged.scores.rows)
    found = _judge(context, judged, comparisons, since)
    smaller = _without_synthetic(context, judged)
    gained = judge_without_synthetic(smaller, context.recipe.acceptance)
    # a temperature alone decides nothing: it is shown with the file that leaves
    sure = calibrated_model(context) if context.recipe.acceptance.selective else None
    held = judge_selective(sure.abstention if sure else None, context.recipe.acceptance)
    found = verdict((*found.checks, *taught, *gained, *held))
    if sure is not None:
        results.write_json(context.workdir / results.CALIBRATED, [to_json(sure)])
    if smaller:
        results.write_json(
            context.workdir / results.WITHOUT_SYNTHETIC, [to_json(one) for one in smaller]
        )
    if beside is not None:
        results.write_json(context.workdir / results.AGAINST_TEACHER, to_json(beside))
    results.write_json(
        context.workdir / COMPARISONS, [to_json(comparison) for comparison in comparisons]
    )
    results.write_json(context.workdir / FILE, to_json(found))


def _compare(
    context: StageContext, judged: _JudgedScores, since: Earlier
) -> tuple[Comparison, ...]:
    judging, acceptance = Judging.of(context.recipe), context.recipe.acceptance
    rivals = Rivals(judging=judging, baselines=_baselines(context), earlier=since)
    return compare(judged.predictions, rivals, acceptance=acceptance, main=judging.main)


def _against_teacher(context: StageContext, judged: _JudgedScores) -> StudentAgainstTeacher | None:
    """Compare with the teacher; None without one."""
    recipe, teacher = context.recipe, results.teacher(context.artifacts)
    if teacher is None:
        return None
    answers = read_predictions(context.artifacts["teach"].file(results.TEACHER_ANSWERS))
    compared = compare_with_teacher(
        judged.predictions,
        answers,
        Judging.of(recipe),
        acceptance=recipe.acceptance,
        name=teacher.name,
    )
    evaluated = context.artifacts["evaluate"]
    speed = results.read_json(evaluated, results.SPEED)
    training = results.read_json(context.artifacts["train"], "training.json")
    return against_teacher(
        judged.predictions,
        answers,
        compared,
        teacher=teacher,
        parameters=training["total_parameters"],
        rows_per_second=speed["rows"] / speed["seconds"] if speed["seconds"] else None,
    )


def _without_synthetic(context: StageContext, judged: _JudgedScores) -> tuple[Comparison, ...]:
    """Compare with the training without synthetic rows; nothing where the recipe bounds no gain over it."""
    acceptance = context.recipe.acceptance
    if not acceptance.over_without_synthetic:
        return ()
    answers = read_predictions(context.artifacts["resample"].file(results.ANSWERS_WITHOUT))
    judging = Judging.of(context.recipe)
    return compare_with_smaller(judged.predictions, answers, judging, acceptance)


def _judge(
    context: StageContext,
    judged: _JudgedScores,
    comparisons: Sequence[Comparison],
    since: Earlier,
) -> Verdict:
    recipe, acceptance = context.recipe, context.recipe.acceptance
    scores = results.scores(context.artifacts)
    thresholds = judge_thresholds(
        acceptance.metrics,
        named_metrics(judged.scores, free=judged.free),
        decide_on=acceptance.decide_on,
        notes=dict.fromkeys(FREE, HOW_MEASURED) | likelihood_notes(recipe),
    )
    gains = judge_gains(comparisons, acceptance)
    kept = judge_previous(comparisons, acceptance, earlier=since)
    gap = judge_gap(
        acceptance.max_overfitting_gap,
        train=scores["train"],
        validation=scores["validation"],
        train_rows=results.read_json(context.artifacts["evaluate"], "sampling.json")["train"]["of"],
        task=recipe.task,
    )
    forgotten = judge_forgetting(
        acceptance.forgetting, results.forgetting(context.artifacts), acceptance
    )
    drifted = judge_drift(acceptance.drift, results.drift(context.artifacts), acceptance)
    ended = judge_endings(recipe.task, judged.predictions, scores=judged.scores, free=judged.free)
    return verdict((*thresholds, *gains, *kept, *gap, *forgotten, *drifted, *ended))


def likelihood_notes(recipe: Recipe) -> dict[str, str]:
    """Say by which window likelihoods of documents are measured; nothing where they are in blocks."""
    stride = recipe.acceptance.stride
    if stride is None:
        return {}
    words = f"a window of {recipe.method.max_length} tokens, moved by {stride}"
    return dict.fromkeys(LIKELIHOODS, words)


def _judged(context: StageContext) -> _JudgedScores:
    """Return the holdout's answers; with folds those of all rows."""
    folds = bool(context.recipe.splits.folds)
    stage, file = answers_of(context.recipe)
    scores = results.scores(context.artifacts, folds=folds)
    return _JudgedScores(
        scores=scores["folds" if folds else "holdout"],
        free=scores.get("free"),
        predictions=read_predictions(context.artifacts[stage].file(file)),
    )


def _baselines(context: StageContext) -> dict[str, list[Prediction]]:
    made = [context.artifacts[name] for name in results.ASKING if name in context.artifacts]
    return {
        item["name"]: read_predictions(one.file(f"predictions.{item['name']}.jsonl"))
        for one in made
        for item in results.read_json(one, results.BASELINES)
    }
