"""Whether a run passed what its recipe asks: the checks that must be there, their bounds, numbers and answers.

The wanted checks come from the resolved recipe, never from the report: a check that is missing fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import NormalDist

from engine.bundle.contents import Contents
from engine.bundle.scores import by_name, comparison_statistics, rows_of, same, unequal
from engine.evidence import (
    Abstention,
    Check,
    Comparison,
    FormResult,
    Metric,
    Report,
    Scores,
    Status,
    Verdict,
)
from engine.kinds import AnswerForm
from engine.lock.coherence import NEAR
from engine.metrics.against_teacher import judge_against_teacher
from engine.metrics.comparing import (
    PREVIOUS,
    Earlier,
    holm,
    judge_gains,
    judge_previous,
    judge_without_synthetic,
)
from engine.metrics.contradictions import judge_endings
from engine.metrics.forgetting import judge_drift, judge_forgetting
from engine.metrics.scoring import named_metrics
from engine.metrics.verdict import (
    baseline_passes,
    corrected_confidence,
    judge,
    judge_gap,
    judge_selective,
    judge_thresholds,
    verdict,
)
from engine.parity.files import ADAPTER
from engine.recipe.metrics import FREE, is_lower_better, primary
from engine.recipe.model import ONNX, Acceptance, Recipe
from engine.recipe.teacher import all_baselines
from engine.values import replace

ENDINGS = ("free_output", "ended")
"""Checks that every gate has, whatever the recipe asks."""


def gate_problems(found: Contents) -> Iterator[str]:
    """Yield where the gate's verdict is not what recipe and numbers give."""
    report, recipe = found.report, found.recipe
    yield from status_problems("gate", report.gate, found)
    if report.gate is None or report.holdout is None:
        return
    right = tuple(_gate_again(report, recipe))
    asked = [check for check in report.gate.checks if check.name not in ENDINGS]
    # with folds, what only free decoding shows is not in a report
    loose = FREE if recipe.splits.folds else ()
    yield from _compared(asked, right, loose)
    yield from _endings(report, recipe)
    if verdict(right).status is not Status.PASS and not loose:
        yield f"gate is `{verdict(right).status.value}` by its numbers"


def comparison_problems(found: Contents) -> Iterator[str]:
    """Yield where the baselines, or the comparisons with them, are not those of recipe and scores."""
    report, recipe = found.report, found.recipe
    asked, there = all_baselines(recipe), {one.name for one in report.baselines}
    wanted = {one.name for one in asked}
    # What is optional may be missing.
    due = {one.name for one in asked if not one.optional}
    if not due <= there <= wanted:
        yield f"the baselines are {_listed(there)}, the recipe asks for {_listed(wanted)}"
    for baseline in report.baselines:
        may_pass = baseline_passes(
            baseline.scores,
            (replace(recipe.acceptance, selective=None) if baseline.passes else recipe.acceptance),
        )
        if baseline.passes != may_pass and (
            baseline.passes or _surely_passes(baseline.scores, recipe, len(asked))
        ):
            yield f"baseline {baseline.name} is reported to {'' if baseline.passes else 'not '}pass"
        if baseline.passes and recipe.stop_if_baseline_passes:
            yield f"baseline {baseline.name} passes, so nothing should have been trained"
    yield from _majority(found)
    rivals = {one.name: one.scores for one in report.baselines}
    # with folds, an exported form is compared by what it changes of the tuned model
    exported = () if recipe.splits.folds else exported_rungs(report, recipe)
    if not found.is_of_this_version:
        exported = [rung for rung in exported if rung.comparisons]
    sides = [(report.comparisons, _judged(report, recipe))]
    for comparisons, judged in [*sides, *((rung.comparisons, rung.scores) for rung in exported)]:
        yield from _compared_with(comparisons, report, recipe)
        yield from _differences(comparisons, judged, report, recipe)
        if judged is not None:
            yield from comparison_statistics(comparisons, judged, rivals, recipe)
        # That p-values are not corrected over all comparisons that are asked for (Holm 1979).
        both = recipe.acceptance.over_baselines and recipe.acceptance.over_previous
        previous = [one for one in comparisons if one.name == PREVIOUS]
        others = [one for one in comparisons if one.name != PREVIOUS]
        for group in ([*others, *previous],) if both else (others, previous):
            known = [one for one in group if one.p_value is not None]
            right = holm([one.p_value for one in known if one.p_value is not None])
            for one, adjusted in zip(known, right, strict=True):
                if not same(one.p_adjusted, adjusted):
                    yield f"the p-value of {one.metric} over {one.name} is corrected to {one.p_adjusted}"


def exported_rungs(report: Report, recipe: Recipe) -> list[FormResult]:
    forms = {"safetensors": "merged", ONNX: ONNX}
    names = [forms.get(form) for form in recipe.export.formats]
    quantized = report.ladder[-1:] if recipe.export.has_quantized_file else ()
    return [*(rung for rung in report.ladder if rung.name in names), *quantized]


def _surely_passes(scores: Scores, recipe: Recipe, baselines: int) -> bool:
    """Tell whether a baseline passes as one of so many, which asks for a wider interval than the report has.

    The reach of an interval grows with the quantile; where all rows agree, with its square.
    """
    quantile = NormalDist().inv_cdf
    confidence = recipe.acceptance.confidence
    wider = quantile(0.5 + corrected_confidence(confidence, baselines) / 2)
    times = (wider / quantile(0.5 + confidence / 2)) ** 2
    metrics = tuple(_stretched(metric, times) for metric in scores.metrics)
    return baseline_passes(replace(scores, metrics=metrics), recipe.acceptance)


def _stretched(metric: Metric, times: float) -> Metric:
    if metric.value is None or metric.interval is None:
        return metric
    value, own = metric.value, metric.interval
    low, high = value - times * (value - own.low), value + times * (own.high - value)
    return replace(metric, interval=replace(own, low=low, high=high))


def _majority(found: Contents) -> Iterator[str]:
    """Yield that a baseline of the most frequent label answers something else."""
    data, recipe = found.report.data, found.recipe
    train = next((one for one in data.splits if one.name == "train"), None) if data else None
    if recipe.task.spec.answer is not AnswerForm.LABEL or recipe.splits.folds or train is None:
        return
    kinds, most = (
        {one.name: one.kind for one in recipe.baselines},
        max(train.labels.values(), default=0),
    )
    for one in found.report.baselines:
        if kinds.get(one.name) != "majority" or not one.scores.confusion:
            continue
        columns = [sum(column) for column in zip(*one.scores.confusion, strict=True)]
        answers: Sequence[str | None] = (*recipe.task.labels, None)
        given = [answer for answer, count in zip(answers, columns, strict=True) if count]
        if len(given) != 1 or train.labels.get(given[0] or "", 0) != most:
            yield f"baseline {one.name} does not answer the label that most training rows have"


def status_problems(name: str, gate: Verdict | None, found: Contents) -> Iterator[str]:
    """Yield where a gate did not pass, or the lock says another answer of it."""
    if gate is None or not gate.checks:
        yield f"{name} has no checks"
        return
    status = verdict(gate.checks).status
    if gate.status is not Status.PASS or status is not Status.PASS:
        yield f"{name} is `{gate.status.value}`, its checks say `{status.value}`"
    locked = found.accepted.verdicts.get(name)
    if locked != gate.status.value:
        yield f"{name} is `{gate.status.value}` in the report, `{locked}` in the lock"


def by_itself(gate: str, check: Check) -> Iterator[str]:
    """Yield that a check says another answer than its own numbers, but where it only warns."""
    metric = Metric(name=check.name, value=check.got, n=max(check.n, 1), interval=check.interval)
    decide_on = "point" if check.decided_on == "point" else "lower_bound"
    direction = "min" if check.direction == "min" else "max"
    if check.decided_on not in ("point", "lower bound", "upper bound"):
        yield f"{gate}: {check.name} is decided on `{check.decided_on}`"
        return
    right = judge(metric, direction=direction, bound=check.bound, decide_on=decide_on)  # type: ignore[arg-type]
    if check.status is Status.PASS and right.status is not Status.PASS:
        yield f"{gate}: {check.name} passes, its numbers do not"
    if check.status is Status.PASS and check.n <= 0:
        yield f"{gate}: {check.name} passes on no rows"


def _gate_again(report: Report, recipe: Recipe) -> Iterator[Check]:
    """Yield the checks of the gate, judged again from the numbers of the report."""
    acceptance = recipe.acceptance
    chosen = _judged(report, recipe) or Scores(rows=0, metrics=(), classes=(), confusion=())
    metrics = named_metrics(chosen, free=report.free)
    yield from judge_thresholds(acceptance.metrics, metrics, decide_on=acceptance.decide_on)
    yield from compared_again(report.comparisons, acceptance)
    if acceptance.max_overfitting_gap is not None:
        train, validation, task = report.train_scores, report.validation_scores, recipe.task
        if train is None or validation is None:
            missing = Metric(name="overfitting", value=None, n=0, undefined="not measured")
            yield judge(
                missing, direction="max", bound=acceptance.max_overfitting_gap, decide_on="point"
            )
        else:
            rows = train.rows
            yield from judge_gap(
                acceptance.max_overfitting_gap,
                train=train,
                validation=validation,
                train_rows=rows,
                task=task,
            )
    yield from judge_forgetting(acceptance.forgetting, report.forgetting, acceptance)
    yield from judge_drift(acceptance.drift, report.drift, acceptance)
    yield from judge_selective(abstention_of(report, ADAPTER), acceptance)
    yield from judge_against_teacher(report.against_teacher, acceptance, rows=chosen.rows)
    yield from judge_without_synthetic(report.without_synthetic, acceptance)


def compared_again(comparisons: Sequence[Comparison], acceptance: Acceptance) -> Iterator[Check]:
    """Yield the checks on a form of the model against the baselines and the last accepted model."""
    yield from judge_gains(comparisons, acceptance)
    has_previous = any(one.name == PREVIOUS for one in comparisons)
    # any text will do: only the note of a check says when it was accepted
    earlier = Earlier(accepted="before") if has_previous else Earlier()
    yield from judge_previous(comparisons, acceptance, earlier=earlier)


def abstention_of(report: Report, form: str) -> Abstention | None:
    """Return the threshold of a form of the model, with what it comes to; None where the report has none."""
    found = (one.abstention for one in report.calibrated if one.form == form)
    return next(found, None)


def _judged(report: Report, recipe: Recipe) -> Scores | None:
    return report.folds if recipe.splits.folds else report.holdout


def _endings(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield where the check of free output is not what the scores give; the first versions had none.

    Of a classification it is judged again from the confusion matrix, whether it is there or not.
    """
    found = [check for check in report.gate.checks if check.name in ENDINGS] if report.gate else []
    for check in found:
        yield from by_itself("gate", check)
    scores = _judged(report, recipe)
    is_known = recipe.task.spec.answer is AnswerForm.LABEL and not recipe.splits.folds
    if scores is None or report.free is None or not is_known:
        return
    rows = rows_of(scores.confusion, recipe.task.labels)
    for right in judge_endings(recipe.task, rows, scores=scores, free=report.free):
        if right.status is Status.FAIL:
            yield f"gate: {right.name} fails by the scores: {right.note}"
        for check in found:
            yield from unlike_check(f"gate: {check.name}", check, right, is_loose=False)


def _compared(
    checks: Sequence[Check], right: Sequence[Check], loose: Sequence[str]
) -> Iterator[str]:
    """Yield each check that is missing, that nobody asked for, or that is another one than its numbers give."""
    found = {(check.name, check.direction): check for check in checks}
    wanted = {(check.name, check.direction): check for check in right}
    if len(found) != len(checks):
        yield "gate has a check twice"
    for key in wanted.keys() - found.keys():
        yield f"gate has no check of {key[0]}, which the recipe asks for"
    for key in found.keys() - wanted.keys():
        yield f"gate has a check of {key[0]}, which the recipe does not ask for"
    for key in found.keys() & wanted.keys():
        name = f"gate: {key[0]}"
        yield from unlike_check(name, found[key], wanted[key], is_loose=key[0] in loose)


def unlike_check(name: str, check: Check, right: Check, *, is_loose: bool) -> Iterator[str]:
    """Yield what a check says otherwise than one that was judged again; where it is loose, of its bound alone."""
    yield from other_bound(name, check, right.bound, right.decided_on)
    yield from unequal(
        (check.direction, right.direction, "{name} is a `{}`, it should be a `{}`"), name=name
    )
    if not is_loose:
        statuses = (check.status.value, right.status.value)
        yield from unequal(
            (check.got, right.got, "{name} got {}, the scores say {}"),
            (check.interval, right.interval, "{name} has the interval {}, the scores say {}"),
            (check.n, right.n, "{name} stands on {} rows, the scores on {}"),
            (*statuses, "{name} is `{}`, its numbers say `{}`"),
            name=name,
        )


def other_bound(name: str, check: Check, bound: float, decided_on: str) -> Iterator[str]:
    """Yield that a check has another bound, or is decided on something else, than the recipe says."""
    if not same(check.bound, bound) or check.decided_on != decided_on:
        yield (
            f"{name} is bound by {check.bound:g} on the {check.decided_on}, "
            f"the recipe says {bound:g} on the {decided_on}"
        )


def _compared_with(
    comparisons: Sequence[Comparison], report: Report, recipe: Recipe
) -> Iterator[str]:
    """Yield the comparisons that are missing, or of a metric that nobody asked for."""
    acceptance = recipe.acceptance
    main = primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)
    gained = [one.metric for one in acceptance.over_baselines] or [main]
    kept = [one.metric for one in acceptance.over_previous] or [main]
    there = {one.name for one in report.baselines}
    asked = [one.name for one in all_baselines(recipe) if one.name in there or not one.optional]
    wanted = {(name, metric) for name in asked for metric in gained}
    found = {(one.name, one.metric) for one in comparisons if one.name != PREVIOUS}
    for name, metric in sorted(wanted - found):
        yield f"there is no comparison with {name} in {metric}"
    for name, metric in sorted(found - wanted):
        yield f"the comparison with {name} in {metric} is not asked for"
    for one in comparisons:
        if one.name == PREVIOUS and one.metric not in kept:
            yield f"the comparison with the last accepted model in {one.metric} is not asked for"
        value, interval = one.difference, one.interval
        if value is None or interval is None:
            continue
        if not interval.low - NEAR <= value <= interval.high + NEAR:
            yield f"the gain in {one.metric} over {one.name} is outside of its interval"


def _differences(
    comparisons: Sequence[Comparison], judged: Scores | None, report: Report, recipe: Recipe
) -> Iterator[str]:
    """Yield the comparisons whose difference is not that of both models' scores."""
    tuned = by_name(judged)
    baselines = {one.name: by_name(one.scores) for one in report.baselines}
    for one in comparisons:
        mine, its = tuned.get(one.metric), baselines.get(one.name, {}).get(one.metric)
        if one.name not in (PREVIOUS, *baselines):
            yield f"a comparison is with `{one.name}`, which is no baseline"
        if mine is None or its is None or mine.value is None or its.value is None:
            continue
        difference = gained(mine.value, its.value, one.metric, recipe)
        # of answers where one model has no probabilities
        has_likelihood = one.metric in ("brier", "ece")
        if not has_likelihood:
            fact = (one.difference, difference, "the gain in {name} is {}, the scores say {:g}")
            yield from unequal(fact, name=f"{one.metric} over {one.name}")


def gained(value: float, other: float, metric: str, recipe: Recipe) -> float:
    """Return by how much a value of a metric is better than another."""
    # not `-(value - other)`: that of 0 would be -0.0
    is_less_better = is_lower_better(metric, recipe.task.kind)
    return 0.0 - (value - other) if is_less_better else value - other


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
