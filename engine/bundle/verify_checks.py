"""Whether the exported model was asked what the recipe asks, and passed: the checks of `verify`, and the ladder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from engine.bundle.contents import Contents
from engine.bundle.gate_checks import (
    abstention_of,
    by_itself,
    compared_again,
    exported_rungs,
    gained,
    other_bound,
    status_problems,
    unlike_check,
)
from engine.bundle.scores import by_name, same, span, unequal
from engine.evidence import Check, FormResult, Metric, Report, Scores, Status
from engine.evidence.verdicts import DIFFERENCES, EXPORTED, SELECTIVE
from engine.kinds import AnswerForm
from engine.lock.coherence import NEAR
from engine.metrics.scoring import named_metrics
from engine.metrics.verdict import judge_selective, judge_thresholds
from engine.parity.files import ADAPTER
from engine.parity.ladder import (
    LARGEST_QUANTIZED,
    LARGEST_SHIFT,
    MEAN_SHIFT,
    SAMPLE,
    SAMPLED,
    lowered,
)
from engine.recipe.metrics import FREE, PHYSICAL, primary
from engine.recipe.model import ONNX, MaxDrop, Recipe
from engine.stages.gate import Answers, moved_checks

AGREEMENT = "agreement"
WHOLE = ("reload", "token_parity", f"token_parity.{ONNX}", "finite", "weights", "ends_turn")
"""Checks that only all rows, or all tensors, keep."""
SAME = ("merged", ONNX, "f16")
"""Rungs that should lose nothing against the one that they are compared with."""
SAMPLES = (SAMPLE, 2, 3, 16, 64)
"""Rows that the 16-bit file is asked, and that earlier versions asked it."""
MOST_SHIFT: Mapping[str, float] = {
    **{f"shift.{name}": max(MEAN_SHIFT.values()) for name in SAME},
    **{f"largest_shift.{name}": max(LARGEST_SHIFT.values()) for name in SAME},
}
"""The widest bounds on how far probabilities may move."""
_OF_RUNG = "verify: {name} got {}, the rung says {}"
Wanted = tuple[str, str, float, str]
"""Of a check: its name, direction, bound and what decides."""


def verify_problems(found: Contents) -> Iterator[str]:
    """Yield where the verdict on the exported model is not what recipe and numbers give."""
    report, recipe = found.report, found.recipe
    yield from status_problems("verify", report.verify, found)
    if report.verify is None:
        return
    checks = [*report.verify.checks, *_spot_checks(report)]
    yield from _missing(checks, found)
    yield from _bounds(checks, found)
    for check in checks:
        yield from by_itself("verify", check)
        if check.kind in ("shift", "largest_shift"):
            rungs = (one for one in report.ladder if one.name == check.label)
            which = "mean_shift" if check.kind == "shift" else "largest_shift"
            moved = getattr(next(rungs, None), which, None)
            yield from unequal((check.got, moved, _OF_RUNG), name=check.name)
            if check.direction != "max" or check.bound > MOST_SHIFT.get(
                check.name, LARGEST_QUANTIZED
            ):
                yield f"verify: {check.name} is bound by {check.bound:g}"
    yield from _rungs(report, recipe)
    if found.is_of_this_version:
        yield from _acceptance(report, recipe)
    if recipe.export.has_quantized_file:
        yield from _quantized(found)
        yield from _selective(report, recipe)


def _spot_checks(report: Report) -> Iterator[Check]:
    for rung in report.ladder:
        if rung.sampled_of is not None and rung.verdict is not None:
            yield from rung.verdict.checks


def _acceptance(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield where an exported form is judged otherwise by `acceptance` than its own numbers give."""
    for rung in exported_rungs(report, recipe):
        prefix = f"{rung.name}." if rung.name in EXPORTED else ""
        checks = rung.verdict.checks if rung.verdict else ()
        there = {(check.name, check.direction): check for check in checks}
        for right in _accepted_again(rung, report, recipe):
            name = f"{prefix}{right.name}"
            found = there.get((name, right.direction))
            if found is None:
                yield f"verify has no check of {name}, which the recipe asks for"
            else:
                yield from unlike_check(f"verify: {name}", found, right, is_loose=False)


def _accepted_again(rung: FormResult, report: Report, recipe: Recipe) -> Iterator[Check]:
    """Yield the checks of `acceptance` on an exported form, judged again from the numbers of the report."""
    acceptance, bounds = recipe.acceptance, recipe.acceptance.metrics
    if rung.name == ONNX:
        bounds = tuple(one for one in bounds if one.metric not in FREE)
    if rung.name not in EXPORTED:
        bounds = tuple(one for one in recipe.file_thresholds if one.metric != AGREEMENT)
    if not recipe.splits.folds:
        metrics = named_metrics(rung.scores, free=rung.free)
        yield from judge_thresholds(bounds, metrics, decide_on=acceptance.decide_on)
        yield from compared_again(rung.comparisons, acceptance)
    elif (held := _rung(report, ADAPTER)) is not None and report.gate is not None:
        sides = ((rung.scores, rung.free), (held.scores, report.free))
        file, tuned = (Answers(scores=one, free=free, predictions=()) for one, free in sides)
        moved = moved_checks(report.gate.checks, file, bounds, tuned, recipe)
        yield from (one for one in moved if one.kind != SELECTIVE)


def _rung(report: Report, name: str) -> FormResult | None:
    return next((rung for rung in report.ladder if rung.name == name), None)


def _missing(checks: Sequence[Check], found: Contents) -> Iterator[str]:
    names = {check.name for check in checks}
    recipe, export = found.recipe, found.recipe.export
    graphs = [f"parity.{ONNX}", f"token_parity.{ONNX}"] if export.has_graph else []
    wanted = ["parity.merged", "reload", *graphs]
    if export.has_quantized_file:
        wanted = ["parity.merged", "parity.f16", *graphs]
        wanted += [] if recipe.task.spec.by_likelihood else ["token_parity"]
        wanted += [bound.metric for bound in export.thresholds if bound.metric == AGREEMENT]
        wanted += [f"drop.{drop.metric}" for drop in export.max_drops]
        # earlier versions did not compare each tensor, and read no rows of likelihoods back
        if found.is_of_this_version:
            wanted += ["weights", "token_parity", *(one[0] for one in _gated_differences(found))]
        else:
            wanted += [bound.metric for bound in export.thresholds]
    missing = [name for name in dict.fromkeys(wanted) if name not in names]
    yield from (f"verify has no check of {name}, which the recipe asks for" for name in missing)


def _gated_differences(found: Contents) -> list[Wanted]:
    checks = found.report.gate.checks if found.report.gate else ()
    return [
        (one.name, one.direction, one.bound, one.decided_on)
        for one in checks
        if one.kind in DIFFERENCES
    ]


def _bounds(checks: Sequence[Check], found: Contents) -> Iterator[str]:
    wanted = _wanted(found)
    by_key: dict[tuple[str, str], Wanted] = {(one[0], one[1]): one for one in wanted}
    for check in checks:
        right = by_key.get((check.name, check.direction))
        if right is not None and check.kind == "parity" and check.direction == "min":
            ties = (rung.ties or 0 for rung in found.report.ladder if rung.name == check.label)
            low = lowered(right[2], next(ties, 0), check.n)
            right = (*right[:2], low, right[3])
        if right is not None:
            yield from other_bound(f"verify: {check.name}", check, *right[2:])
        elif any(one[0] == check.name for one in wanted):
            yield f"verify: {check.name} has another direction than the recipe's"


def _wanted(contents: Contents) -> list[Wanted]:
    recipe = contents.recipe
    export, parity = recipe.export, ("min", recipe.export.min_parity)
    forms = [("max", 1 - export.min_parity) if recipe.task.spec.by_likelihood else parity]
    if recipe.task.spec.is_decoded:
        # reports of earlier versions bound the agreement, which is the stricter one
        forms.append(("max", 1 - export.min_parity))
    found = [*_gated_differences(contents)]
    found += [(f"parity.{name}", *form, "point") for name in SAME for form in forms]
    found += [(name, "min", 1.0, "point") for name in WHOLE]
    found += [(f"drop.{one.metric}", "max", one.max_drop, "point") for one in export.max_drops]
    for bound in recipe.file_thresholds if contents.is_of_this_version else export.thresholds:
        # size and speed are measured once and have no interval
        is_point = recipe.acceptance.decide_on == "point" or bound.metric in PHYSICAL
        end = "lower bound" if bound.direction == "min" else "upper bound"
        decides = "point" if is_point else end
        found.append((bound.metric, bound.direction, bound.bound, decides))
    return found


def _selective(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield where the file that leaves abstains otherwise than its checks say."""
    name = report.ladder[-1].name if report.ladder else ""
    checks = {check.name: check for check in report.verify.checks} if report.verify else {}
    for right in judge_selective(abstention_of(report, name), recipe.acceptance):
        found = checks.get(right.name)
        if found is None:
            yield f"verify has no check of {right.name}, which the recipe asks for"
        elif (found.status, found.n, span(found.interval)) != (
            right.status,
            right.n,
            span(right.interval),
        ) or not same(found.got, right.got):
            yield f"verify: {right.name} is not what the calibrated file shows"
        else:
            yield from other_bound(f"verify: {right.name}", found, right.bound, right.decided_on)


def _rungs(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield where the ladder and the verdict differ: the last rung leaves, those below lose nothing."""
    rungs = {rung.name: rung for rung in report.ladder}
    export = recipe.export
    graph, sixteen = [ONNX] * export.has_graph, ["f16"] * export.has_quantized_file
    wanted = ("adapter", "merged", *graph, *sixteen)
    yield from (f"the ladder has no rung `{name}`" for name in wanted if name not in rungs)
    if not report.ladder or report.verify is None:
        return
    # with folds, the holdout's scores are of all rows and of as many models
    if report.holdout is not None and "adapter" in rungs and not recipe.splits.folds:
        yield from _same_scores("rung adapter", rungs["adapter"].scores, report.holdout)
    for below, rung in pairwise(report.ladder):
        base = _compared_with(rungs, below, rung)
        yield from _between(base, rung, report, recipe)
        yield from _sampled(base, rung)
    # quantizations that were tried and failed stand in the ladder too; the last one leaves
    counted = [rung for rung in report.ladder if rung.name in wanted or rung is report.ladder[-1]]
    for rung in counted:
        is_spot = rung.sampled_of is not None
        for check in rung.verdict.checks if rung.verdict else ():
            if is_spot and check.status is not Status.PASS:
                yield f"the spot check of {rung.name} does not hold: {check.name}"
            elif not is_spot and check not in report.verify.checks:
                yield f"verify has not the check of {check.name} that the rung {rung.name} has"


def _compared_with(
    rungs: Mapping[str, FormResult], below: FormResult, rung: FormResult
) -> FormResult:
    """Return what a rung is compared with: the last form before it that should lose nothing and was asked all rows.

    Nothing is made of a graph, so none is compared with one.
    """
    if rung.name == "merged":
        return below
    names = ("merged",) if rung.name in SAME else ("f16", "merged")
    whole = (rungs.get(name) for name in names)
    return next((one for one in whole if one is not None and one.sampled_of is None), below)


def _sampled(below: FormResult, rung: FormResult) -> Iterator[str]:
    asked, every = rung.scores.rows, below.scores.rows
    if rung.sampled_of is None:
        if asked != every:
            yield f"rung {rung.name} was asked {asked} rows, the one before {every}"
        return
    if rung.name != "f16":
        yield f"rung {rung.name} was asked a sample of the rows"
    elif rung.sampled_of != every or every < SAMPLED or asked not in SAMPLES:
        yield f"rung {rung.name} was asked {asked} of {rung.sampled_of} rows, the one before {every}"
    elif rung.class_deltas:
        yield f"rung {rung.name} states changes in F1, which a sample has none of"


def _between(below: FormResult, rung: FormResult, report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield where what changed from the rung that a rung is compared with is not what both scores say."""
    if rung.agreement is not None and _has_only_labels(below.scores, rung.scores, recipe):
        right = 1 - len(rung.flips) / max(rung.scores.rows, 1)
        if not same(rung.agreement.value, right) or rung.agreement.n != rung.scores.rows:
            yield f"rung {rung.name} agrees in {rung.agreement.value}, {len(rung.flips)} answers changed"
    checks = [*report.verify.checks, *_spot_checks(report)] if report.verify else []
    for check in checks if rung.agreement is not None else ():
        if check.name == f"parity.{rung.name}":
            yield from _parity(check, below, rung, recipe)
    earlier = {one.label: one.f1 for one in below.scores.classes}
    later = {one.label: one.f1 for one in rung.scores.classes}
    for label, delta in rung.class_deltas:
        one, two = earlier.get(label), later.get(label)
        if not same(delta, None if one is None or two is None else two - one):
            yield f"rung {rung.name}: the change in F1 of `{label}` is {delta}"


def _parity(check: Check, below: FormResult, rung: FormResult, recipe: Recipe) -> Iterator[str]:
    """Yield where a rung that should lose nothing is judged by another agreement, or another loss, than it shows."""
    if check.direction == "min":
        if rung.ties and same(check.bound, recipe.export.min_parity):
            return  # earlier versions left ties out of the share; of this one the bound is refused
        if (rung.ties or 0) > len(rung.flips):
            yield f"rung {rung.name} counts {rung.ties} ties of {len(rung.flips)} changed answers"
        right = rung.agreement.value if rung.agreement else None
    elif rung.sampled_of is not None:
        # the form before shows its score of all rows only
        return
    else:
        metric = primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)
        one, two = (by_name(each.scores).get(metric) for each in (below, rung))
        known = one is not None and two is not None and None not in (one.value, two.value)
        right = gained(one.value, two.value, metric, recipe) if known else None  # type: ignore[union-attr,arg-type]
    yield from unequal((check.got, right, _OF_RUNG), name=check.name)


def _has_only_labels(one: Scores, other: Scores, recipe: Recipe) -> bool:
    if recipe.task.spec.answer is not AnswerForm.LABEL:
        return False
    return not any(row[-1] for scores in (one, other) for row in scores.confusion)


def _same_scores(name: str, one: Scores, other: Scores) -> Iterator[str]:
    here, there = by_name(one), by_name(other)
    for metric in here.keys() & there.keys():
        if not same(here[metric].value, there[metric].value):
            yield f"{name}: {metric} is {here[metric].value}, in the report {there[metric].value}"
    if one.confusion != other.confusion:
        yield f"{name}: the confusion matrix is not that of the report"


def _quantized(found: Contents) -> Iterator[str]:
    """Yield where the checks of the quantized file are not those of its scores."""
    report, recipe = found.report, found.recipe
    scores = report.quantized
    if scores is None:
        yield "the report has no scores of the quantized file"
        return
    last = report.ladder[-1] if report.ladder else None
    if last is not None:
        yield from _same_scores(f"rung {last.name}", last.scores, scores)
        if last.name not in recipe.export.quantizations:
            yield f"the rung that leaves is `{last.name}`, which is none of the recipe's quantizations"
        elif not any(last.name in file.name for file in report.files):
            yield f"no file is of the quantization `{last.name}`"
    yield from _of_file(found, by_name(scores))
    merged = _rung(report, "merged")
    if report.agreement is None or merged is None:
        return
    most = 1 - len(report.flips) / max(scores.rows, 1)
    is_exact = _has_only_labels(merged.scores, scores, recipe)
    if report.agreement > most + NEAR or (is_exact and not same(report.agreement, most)):
        changed = f"{len(report.flips)} of {scores.rows} answers changed"
        yield f"agreement is {report.agreement:g} although {changed}"


def _of_file(found: Contents, metrics: Mapping[str, Metric]) -> Iterator[str]:
    report, recipe = found.report, found.recipe
    checks = report.verify.checks if report.verify else ()
    for bound in recipe.export.thresholds:
        for check in checks:
            asked = (check.name, check.direction) == (bound.metric, bound.direction)
            if asked and bound.metric not in FREE:
                yield from _of_scores(check, metrics, report)
    # earlier versions compared with the merged model alone
    names = ("merged", ADAPTER) if found.is_of_this_version else ("merged",)
    forms = [rung.scores for rung in report.ladder if rung.name in names]
    for drop in recipe.export.max_drops:
        for check in checks:
            if check.name == f"drop.{drop.metric}" and drop.metric not in FREE:
                yield from _of_drop(check, drop, forms, metrics, recipe)


def _of_scores(check: Check, metrics: Mapping[str, Metric], report: Report) -> Iterator[str]:
    if check.name == AGREEMENT:
        text = "verify: agreement got {}, the report says {}"
        yield from unequal((check.got, report.agreement, text))
        return
    metric = metrics.get(check.name)
    value = metric.value if metric else None
    if not same(check.got, value):
        yield f"verify: {check.name} got {check.got}, the scores of the file say {value}"
    elif metric is not None and span(check.interval) != span(metric.interval):
        yield f"verify: {check.name} has another interval than the scores of the file"


def _of_drop(
    check: Check,
    drop: MaxDrop,
    forms: Sequence[Scores],
    quantized: Mapping[str, Metric],
    recipe: Recipe,
) -> Iterator[str]:
    """Yield where a drop is not the largest that the scores of earlier forms give."""
    before = [by_name(scores).get(drop.metric) for scores in forms]
    values = [one.value for one in before if one is not None and one.value is not None]
    after = quantized.get(drop.metric)
    if len(values) < len(forms) or after is None or after.value is None:
        yield f"verify: {check.name} stands on scores that are not there"
        return
    lost = max(gained(value, after.value, drop.metric, recipe) for value in values)
    if not same(check.got, lost):
        yield f"verify: {check.name} got {check.got}, the scores say {lost:g}"
