"""The gate: whether the tuned model keeps `acceptance`, by its answers and its training; no model is asked."""

from collections.abc import Iterator, Mapping, Sequence

from engine.artifacts import results
from engine.artifacts.stage import Payload, StageContext
from engine.evidence import (
    Abstention,
    Check,
    Comparison,
    Metric,
    Scores,
    Status,
    StudentAgainstTeacher,
)
from engine.evidence.verdicts import DIFFERENCES, THRESHOLD
from engine.inference.exported_files import calibrated_model
from engine.lock.previous import answers_of
from engine.metrics.comparing import (
    WITHOUT,
    Earlier,
    Rivals,
    against_teacher,
    compare,
    compare_with,
    judge_gains,
    judge_previous,
    judge_ratios,
    judge_teacher_drops,
    judge_without_synthetic,
)
from engine.metrics.contradictions import judge_endings
from engine.metrics.forgetting import judge_drift, judge_forgetting
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.metrics.scoring import named_metrics
from engine.metrics.verdict import (
    DecideOn,
    judge,
    judge_gap,
    judge_selective,
    judge_thresholds,
    verdict,
)
from engine.recipe.metrics import FREE, LIKELIHOODS, is_lower_better
from engine.recipe.model import Direction, Recipe, Threshold
from engine.values import Value, decimal, field, replace, to_json

REVISION = 10
NEEDS = ("evaluate", "baseline")
TOOLS = ("numpy",)

FILE = "verdict.json"
COMPARISONS = "comparisons.json"
OF_TRAINING = ("max_overfitting_gap", "forgetting", "forgetting_text", "drift")
"""Of its slice of `acceptance`: what no exported file is judged by again."""
HOW_MEASURED = "free decoding: what a caller without a grammar gets"


class Answers(Value):
    form: str = ""
    """`merged`, `onnx`, `quantized`, …; empty for the tuned model."""
    scores: Scores
    """By constrained decoding, where answers have a form."""
    free: Scores | None
    """None where the answers themselves are free, or none are given."""
    predictions: Sequence[Prediction]
    """The same, on the rows that the baselines answered too."""
    abstention: Abstention | None = None
    others: Mapping[str, Metric] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


class JudgedAnswers(Value):
    checks: tuple[Check, ...]
    comparisons: tuple[Comparison, ...] = ()
    with_teacher: tuple[Comparison, ...] = ()
    without_synthetic: tuple[Comparison, ...] = ()


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
    acceptance, forgetting = recipe.acceptance, recipe.acceptance.forgetting
    # in one order, so that bounds that are only written in another order keep the verdict; what the probes are is in
    # the key of `forgetting`
    bounds = to_json(replace(acceptance.in_order(), forgetting=None))
    bounds["forgetting"] = None if forgetting is None else forgetting.max_drop
    if forgetting is not None and forgetting.text is not None:
        bounds["forgetting_text"] = forgetting.text.max_rise
    # A review comes before the training; how is measured is in the keys of what measures. Where nothing else of these
    # is bounded, the key is that of versions that did not know it.
    left_out = {"synthetic", "stride"}
    for name in ("against_teacher", "over_without_synthetic", "selective", "drift"):
        left_out |= set() if bounds[name] else {name}
    return {
        "acceptance": {name: bound for name, bound in bounds.items() if name not in left_out},
        "task": to_json(recipe.task),
        "splits": {"seed": recipe.splits.seed},
    }


def run(context: StageContext) -> None:
    recipe, artifacts = context.recipe, context.artifacts
    # a temperature alone decides nothing: it is shown with the exported file
    sure = calibrated_model(context) if recipe.acceptance.selective else None
    # the holdout's answers; with folds those of all rows
    folds, (stage, file) = bool(recipe.splits.folds), answers_of(recipe)
    scores = results.scores(artifacts, folds=folds)
    answers = Answers(
        scores=scores["folds" if folds else "holdout"],
        free=scores.get("free"),
        predictions=read_predictions(artifacts[stage].file(file)),
        abstention=sure.abstention if sure else None,
    )
    judged = judge_answers(context, answers, recipe.acceptance.metrics)
    beside, teacher = None, results.teacher(artifacts)
    if teacher is not None:
        speed = results.read_json(artifacts["evaluate"], results.SPEED)
        training = results.read_json(artifacts["train"], "training.json")
        beside = against_teacher(
            answers.predictions,
            read_predictions(artifacts["teach"].file(results.TEACHER_ANSWERS)),
            judged.with_teacher,
            teacher=teacher,
            parameters=training["total_parameters"],
            rows_per_second=speed["rows"] / speed["seconds"] if speed["seconds"] else None,
        )
    found = verdict((*judged.checks, *_of_training(context, answers, beside)))
    if sure is not None:
        results.write_json(context.workdir / results.CALIBRATED, [to_json(sure)])
    if judged.without_synthetic:
        smaller = [to_json(one) for one in judged.without_synthetic]
        results.write_json(context.workdir / results.WITHOUT_SYNTHETIC, smaller)
    if beside is not None:
        results.write_json(context.workdir / results.AGAINST_TEACHER, to_json(beside))
    compared = [to_json(comparison) for comparison in judged.comparisons]
    results.write_json(context.workdir / COMPARISONS, compared)
    results.write_json(context.workdir / FILE, to_json(found))


def judge_answers(
    context: StageContext,
    answers: Answers,
    thresholds: Sequence[Threshold],
    *,
    confidence: float | None = None,
) -> JudgedAnswers:
    """Judge all of `acceptance` that answers decide, of the tuned model and of every exported form.

    `confidence` is the recipe's where left out.
    """
    recipe, confidence = context.recipe, confidence or context.recipe.acceptance.confidence
    acceptance = replace(recipe.acceptance, confidence=confidence)
    judging = replace(Judging.of(recipe), confidence=confidence)
    rows, previous = answers.predictions, context.previous
    since = previous.earlier(rows, recipe=recipe, form=answers.form) if previous else Earlier()
    baselines = {
        item["name"]: read_predictions(made.file(f"predictions.{item['name']}.jsonl"))
        for name in results.ASKING
        if (made := context.artifacts.get(name))
        for item in results.read_json(made, results.BASELINES)
    }
    rivals = Rivals(judging=judging, baselines=baselines, earlier=since)
    compared = compare(rows, rivals, acceptance=acceptance, main=judging.main)
    taught, smaller = tuple[Comparison, ...](), tuple[Comparison, ...]()
    if (teacher := results.teacher(context.artifacts)) is not None:
        its = read_predictions(context.artifacts["teach"].file(results.TEACHER_ANSWERS))
        drops = acceptance.against_teacher.drops if acceptance.against_teacher else ()
        metrics = [drop.metric for drop in drops] or [judging.main]
        taught = compare_with(teacher.name, rows, its, judging, metrics)
    if gains := acceptance.over_without_synthetic:
        its = read_predictions(context.artifacts["resample"].file(results.ANSWERS_WITHOUT))
        smaller = compare_with(WITHOUT, rows, its, judging, [gain.metric for gain in gains])
    found = {**named_metrics(answers.scores, free=answers.free), **answers.others}
    how = {**dict.fromkeys(FREE, HOW_MEASURED), **likelihood_notes(recipe), **answers.notes}
    return JudgedAnswers(
        comparisons=compared,
        with_teacher=taught,
        without_synthetic=smaller,
        checks=(
            *judge_thresholds(thresholds, found, decide_on=acceptance.decide_on, notes=how),
            *judge_gains(compared, acceptance),
            *judge_previous(compared, acceptance, earlier=since),
            *judge_teacher_drops(taught, acceptance),
            *judge_without_synthetic(smaller, acceptance),
            *judge_selective(answers.abstention, acceptance),
        ),
    )


def judge_exported(
    context: StageContext,
    answers: Answers,
    thresholds: Sequence[Threshold],
    *,
    tuned: Answers,
    confidence: float | None = None,
) -> JudgedAnswers:
    """Judge an exported form as `judge_answers` does; `tuned` are the gated model's answers to the same rows.

    With folds the gate's checks are of all rows, of which the form has answered fold 1: each is moved by what the form
    changes there. Thresholds that the gate has none of are decided on fold 1.
    """
    recipe = context.recipe
    if not recipe.splits.folds:
        return judge_answers(context, answers, thresholds, confidence=confidence)
    before = results.verdict(context.artifacts, "gate").checks
    return JudgedAnswers(checks=moved_checks(before, answers, thresholds, tuned, recipe))


def moved_checks(
    gate: Sequence[Check],
    answers: Answers,
    thresholds: Sequence[Threshold],
    tuned: Answers,
    recipe: Recipe,
) -> tuple[Check, ...]:
    """Return the checks of the gate, which are of all folds, as what a form changes on fold 1 moves them."""
    before, after = (named_metrics(one.scores, free=one.free) for one in (tuned, answers))
    bounds: dict[tuple[str, str], Threshold] = {
        (one.metric, one.direction): one for one in thresholds
    }
    checks: list[Check] = []
    for check in gate:
        own, metric = bounds.pop((check.name, check.direction), None), check.metric
        if own is None and check.kind not in DIFFERENCES:
            continue
        bound = check.bound if own is None else own.bound
        was, became = (side[metric].value if metric in side else None for side in (before, after))
        checks.append(_moved(replace(check, bound=bound), was, became, answers, recipe))
    decide_on, metrics = recipe.acceptance.decide_on, {**after, **answers.others}
    rest = judge_thresholds([*bounds.values()], metrics, decide_on=decide_on, notes=answers.notes)
    return (*checks, *rest, *judge_selective(answers.abstention, recipe.acceptance))


def _moved(
    check: Check, was: float | None, became: float | None, answers: Answers, recipe: Recipe
) -> Check:
    rows = f"the {answers.scores.rows} rows of fold 1 that the form was evaluated on"
    if check.got is None:
        return check
    if was is None:
        note = f"{rows} do not show it"
        return replace(check, status=Status.WARN, got=None, interval=None, note=note)
    moved = (became or 0.0) - was
    note = f"of all rows by folds, and {decimal(moved, signed=True)} of {check.metric} on {rows}"
    # a difference counts what is gained or, with a maximum, lost
    is_loss = check.direction == "max"
    if check.kind != THRESHOLD and is_lower_better(check.metric, recipe.task.kind) != is_loss:
        moved = 0.0 - moved
    interval = check.interval
    if interval is not None:
        interval = replace(interval, low=interval.low + moved, high=interval.high + moved)
    value = None if became is None else check.got + moved
    metric = Metric(name=check.name, value=value, n=check.n, interval=interval)
    direction: Direction = "max" if is_loss else "min"
    decide_on: DecideOn = "point" if check.decided_on == "point" else "lower_bound"
    return judge(metric, direction, check.bound, decide_on=decide_on, note=note)


def _of_training(
    context: StageContext, answers: Answers, beside: StudentAgainstTeacher | None
) -> Iterator[Check]:
    recipe, acceptance = context.recipe, context.recipe.acceptance
    scores = results.scores(context.artifacts)
    yield from judge_ratios(beside, acceptance, rows=answers.scores.rows)
    yield from judge_gap(
        acceptance.max_overfitting_gap,
        train=scores["train"],
        validation=scores["validation"],
        train_rows=results.read_json(context.artifacts["evaluate"], "sampling.json")["train"]["of"],
        task=recipe.task,
    )
    forgotten = results.forgetting(context.artifacts)
    yield from judge_forgetting(acceptance.forgetting, forgotten, acceptance)
    yield from judge_drift(acceptance.drift, results.drift(context.artifacts), acceptance)
    rows, judged = answers.predictions, answers.scores
    yield from judge_endings(recipe.task, rows, scores=judged, free=answers.free)


def likelihood_notes(recipe: Recipe) -> dict[str, str]:
    stride = recipe.acceptance.stride
    if stride is None:
        return {}
    words = f"a window of {recipe.method.max_length} tokens, moved by {stride}"
    return dict.fromkeys(LIKELIHOODS, words)
