"""Whether a run passed what its recipe asks: the checks that must be there, their bounds, numbers and answers.

The wanted checks come from the resolved recipe, never from the report: a check that is missing fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.bundle.contents import Contents
from engine.bundle.scores import by_name, same, span
from engine.evidence import Check, Comparison, Metric, Report, Scores, Status, Verdict
from engine.metrics.comparing import PREVIOUS, Earlier, judge_gains, judge_previous
from engine.metrics.correction import holm
from engine.metrics.forgetting import judge_forgetting
from engine.metrics.scoring import named_metrics
from engine.metrics.verdict import baseline_passes, judge, judge_gap, judge_thresholds, verdict
from engine.recipe.metrics import FREE, OF_FILES, is_lower_better
from engine.recipe.model import MaxDrop, Recipe, Threshold
from engine.store.coherence import NEAR

AGREEMENT = "agreement"
PHYSICAL = tuple(spec.name for spec in OF_FILES if spec.name != AGREEMENT)
"""Bounds on size and speed, which are judged by their value."""
WEIGHED = ("chat", "text")
"""Kinds that are judged by likelihoods."""
Wanted = tuple[str, str, float, str]
"""Of a check: its name, direction, bound and what decides."""


def gate_problems(found: Contents) -> Iterator[str]:
    """Yield where the gate's verdict is not what recipe and numbers give."""
    report, recipe = found.report, found.recipe
    yield from _status("gate", report.gate, found)
    if report.gate is None or report.holdout is None:
        return
    right = tuple(_gate_again(report, recipe))
    yield from _compared("gate", report.gate.checks, right, loose=_loose(report, recipe))
    if verdict(right).status is not Status.PASS and not _loose(report, recipe):
        yield f"gate is `{verdict(right).status.value}` by its numbers"


def verify_problems(found: Contents) -> Iterator[str]:
    """Yield where the verdict on the exported model is not what recipe and numbers give."""
    report, recipe = found.report, found.recipe
    yield from _status("verify", report.verify, found)
    if report.verify is None:
        return
    checks = report.verify.checks
    yield from _missing(checks, recipe)
    yield from _bounds(checks, recipe)
    for check in checks:
        yield from _by_itself("verify", check, recipe)
    yield from _rungs(report, recipe)
    if recipe.export.has_quantized_file:
        yield from _quantized(report, recipe)


def comparison_problems(found: Contents) -> Iterator[str]:
    """Yield where the baselines, or the comparisons with them, are not those of recipe and scores."""
    report, recipe = found.report, found.recipe
    wanted, there = {one.name for one in recipe.baselines}, {one.name for one in report.baselines}
    if wanted != there:
        yield f"the baselines are {_listed(there)}, the recipe asks for {_listed(wanted)}"
    for baseline in report.baselines:
        if baseline.passes != baseline_passes(baseline.scores, recipe.acceptance):
            yield f"baseline {baseline.name} is said to {'' if baseline.passes else 'not '}pass"
        if baseline.passes and recipe.stop_if_baseline_passes:
            yield f"baseline {baseline.name} passes, so nothing should have been trained"
    yield from _differences(report, recipe)
    yield from _corrected(report.comparisons, recipe)


def _status(name: str, gate: Verdict | None, found: Contents) -> Iterator[str]:
    if gate is None or not gate.checks:
        yield f"{name} has no checks"
        return
    told = verdict(gate.checks).status
    if gate.status is not Status.PASS or told is not Status.PASS:
        yield f"{name} is `{gate.status.value}`, its checks say `{told.value}`"
    locked = found.accepted.verdicts.get(name)
    if locked != gate.status.value:
        yield f"{name} is `{gate.status.value}` in the report, `{locked}` in the lock"


def _gate_again(report: Report, recipe: Recipe) -> Iterator[Check]:
    """Yield the checks of the gate, judged again from the numbers of the report."""
    acceptance = recipe.acceptance
    chosen = report.folds if recipe.splits.folds else report.holdout
    if chosen is None or report.train_scores is None or report.validation_scores is None:
        chosen = chosen or Scores(rows=0, metrics=(), classes=(), confusion=())
    yield from judge_thresholds(
        acceptance.metrics,
        named_metrics(chosen, free=report.free),
        decide_on=acceptance.decide_on,
    )
    yield from judge_gains(acceptance.over_baselines, report.comparisons, acceptance=acceptance)
    yield from _previous_again(report, recipe)
    if acceptance.max_overfitting_gap is not None:
        yield from _gap_again(report, recipe)
    yield from judge_forgetting(acceptance.forgetting, report.forgetting, acceptance)


def _previous_again(report: Report, recipe: Recipe) -> Iterator[Check]:
    acceptance = recipe.acceptance
    has_previous = any(one.name == PREVIOUS for one in report.comparisons)
    yield from judge_previous(
        acceptance.over_previous,
        report.comparisons,
        earlier=Earlier(accepted="before") if has_previous else Earlier(),
        acceptance=acceptance,
    )


def _gap_again(report: Report, recipe: Recipe) -> Iterator[Check]:
    train, validation = report.train_scores, report.validation_scores
    if train is None or validation is None:
        missing = Metric(name="overfitting", value=None, n=0, undefined="not measured")
        gap = recipe.acceptance.max_overfitting_gap or 0.0
        yield judge(missing, direction="max", bound=gap, decide_on="point")
        return
    yield from judge_gap(
        recipe.acceptance.max_overfitting_gap,
        train=train,
        validation=validation,
        train_rows=train.rows,
        task=recipe.task,
    )


def _loose(report: Report, recipe: Recipe) -> tuple[str, ...]:
    """Return the checks whose numbers are not in a report: with folds, what only free decoding tells."""
    del report
    return FREE if recipe.splits.folds else ()


def _compared(
    gate: str, checks: Sequence[Check], right: Sequence[Check], *, loose: Sequence[str]
) -> Iterator[str]:
    """Yield each check that is missing, that nobody asked for, or that is another one than its numbers give."""
    found = {(check.name, check.direction): check for check in checks}
    wanted = {(check.name, check.direction): check for check in right}
    if len(found) != len(checks):
        yield f"{gate} has a check twice"
    for key in wanted.keys() - found.keys():
        yield f"{gate} has no check of {key[0]}, which the recipe asks for"
    for key in found.keys() - wanted.keys():
        yield f"{gate} has a check of {key[0]}, which the recipe does not ask for"
    for key in found.keys() & wanted.keys():
        name = f"{gate}: {key[0]}"
        yield from _unlike(name, found[key], wanted[key], is_loose=key[0] in loose)


def _unlike(name: str, check: Check, right: Check, *, is_loose: bool) -> Iterator[str]:
    if not same(check.bound, right.bound) or check.decided_on != right.decided_on:
        yield (
            f"{name} is bound by {check.bound:g} on the {check.decided_on}, "
            f"the recipe says {right.bound:g} on the {right.decided_on}"
        )
    if is_loose:
        return
    if not same(check.got, right.got):
        yield f"{name} got {check.got}, the scores say {right.got}"
    if span(check.interval) != span(right.interval):
        yield f"{name} has the interval {span(check.interval)}, the scores say {span(right.interval)}"
    if check.n != right.n:
        yield f"{name} stands on {check.n} rows, the scores on {right.n}"
    if check.status is not right.status:
        yield f"{name} is `{check.status.value}`, its numbers say `{right.status.value}`"


def _missing(checks: Sequence[Check], recipe: Recipe) -> Iterator[str]:
    names = {check.name for check in checks}
    export = recipe.export
    wanted = ["parity.merged"]
    if export.has_quantized_file:
        wanted += ["parity.f16"]
        if recipe.task.kind not in WEIGHED:
            wanted += ["token_parity"]
        wanted += [bound.metric for bound in export.thresholds]
        wanted += [f"drop.{drop.metric}" for drop in export.max_drops]
    else:
        wanted += ["reload"]
    for name in wanted:
        if name not in names:
            yield f"verify has no check of {name}, which the recipe asks for"


def _bounds(checks: Sequence[Check], recipe: Recipe) -> Iterator[str]:
    """Yield the checks whose bound, direction or what decides is not that of the recipe."""
    wanted = _wanted(recipe)
    by_key: dict[tuple[str, str], Wanted] = {(one[0], one[1]): one for one in wanted}
    for check in checks:
        known = [one for one in wanted if one[0] == check.name]
        right = by_key.get((check.name, check.direction))
        if not known:
            continue
        if right is None:
            yield f"verify: {check.name} has another direction than the recipe's"
        elif not same(check.bound, right[2]) or check.decided_on != right[3]:
            yield (
                f"verify: {check.name} is bound by {check.bound:g} on the {check.decided_on}, "
                f"the recipe says {right[2]:g} on the {right[3]}"
            )


def _wanted(recipe: Recipe) -> list[Wanted]:
    export = recipe.export
    parity = (
        ("max", 1 - export.min_parity)
        if recipe.task.kind in WEIGHED
        else ("min", export.min_parity)
    )
    found: list[Wanted] = [(f"parity.{name}", *parity, "point") for name in ("merged", "f16")]
    found += [(name, "min", 1.0, "point") for name in ("reload", "token_parity", "finite")]
    found += [(f"drop.{one.metric}", "max", one.max_drop, "point") for one in export.max_drops]
    for bound in export.thresholds:
        is_point = recipe.acceptance.decide_on == "point" or bound.metric in PHYSICAL
        end = "lower bound" if bound.direction == "min" else "upper bound"
        decides = "point" if is_point else end
        found.append((bound.metric, bound.direction, bound.bound, decides))
    return found


def _by_itself(gate: str, check: Check, recipe: Recipe) -> Iterator[str]:
    """Yield that a check says another answer than its own numbers, but where it only warns."""
    del recipe
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


def _rungs(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield where the ladder and the verdict differ: the last rung leaves, those below lose nothing."""
    rungs = {rung.name: rung for rung in report.ladder}
    wanted = ["adapter", "merged"]
    if recipe.export.has_quantized_file:
        wanted.append("f16")
    for name in wanted:
        if name not in rungs:
            yield f"the ladder has no rung `{name}`"
    if not report.ladder or report.verify is None:
        return
    if report.holdout is not None and "adapter" in rungs:
        yield from _same_scores("rung adapter", rungs["adapter"].scores, report.holdout)
    counted = [rung for rung in report.ladder if rung.name in wanted or rung is report.ladder[-1]]
    for rung in counted:
        for check in rung.verdict.checks if rung.verdict else ():
            if check not in report.verify.checks:
                yield f"verify has not the check of {check.name} that the rung {rung.name} has"


def _same_scores(name: str, one: Scores, other: Scores) -> Iterator[str]:
    here, there = by_name(one), by_name(other)
    for metric in here.keys() & there.keys():
        if not same(here[metric].value, there[metric].value):
            yield f"{name}: {metric} is {here[metric].value}, in the report {there[metric].value}"
    if one.confusion != other.confusion:
        yield f"{name}: the confusion matrix is not that of the report"


def _quantized(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield where the checks of the file that leaves are not those of its scores."""
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
    yield from _of_file(report, recipe, by_name(scores))
    changed = len(report.flips)
    if report.agreement is not None and report.agreement > 1 - changed / max(scores.rows, 1) + NEAR:
        yield f"agreement is {report.agreement:g} although {changed} of {scores.rows} answers changed"


def _of_file(report: Report, recipe: Recipe, metrics: Mapping[str, Metric]) -> Iterator[str]:
    checks = report.verify.checks if report.verify else ()
    for bound in recipe.export.thresholds:
        for check in checks:
            if check.name == bound.metric and check.direction == bound.direction:
                yield from _of_scores(check, bound, metrics, report)
    merged = next((rung.scores for rung in report.ladder if rung.name == "merged"), None)
    for drop in recipe.export.max_drops:
        for check in checks:
            if check.name == f"drop.{drop.metric}" and drop.metric not in FREE:
                yield from _of_drop(check, drop, by_name(merged), metrics, recipe)


def _of_scores(
    check: Check, bound: Threshold, metrics: Mapping[str, Metric], report: Report
) -> Iterator[str]:
    if bound.metric in FREE:
        return
    if bound.metric == AGREEMENT:
        if not same(check.got, report.agreement):
            yield f"verify: agreement got {check.got}, the report says {report.agreement}"
        return
    metric = metrics.get(bound.metric)
    value = metric.value if metric else None
    if not same(check.got, value):
        yield f"verify: {check.name} got {check.got}, the scores of the file say {value}"
    elif metric is not None and span(check.interval) != span(metric.interval):
        yield f"verify: {check.name} has another interval than the scores of the file"


def _of_drop(
    check: Check,
    drop: MaxDrop,
    merged: Mapping[str, Metric],
    quantized: Mapping[str, Metric],
    recipe: Recipe,
) -> Iterator[str]:
    one, two = merged.get(drop.metric), quantized.get(drop.metric)
    if one is None or two is None or one.value is None or two.value is None:
        yield f"verify: {check.name} stands on scores that are not there"
        return
    lost = one.value - two.value
    lost = 0.0 - lost if is_lower_better(drop.metric, recipe.task.kind) else lost
    if not same(check.got, lost):
        yield f"verify: {check.name} got {check.got}, the scores say {lost:g}"


def _differences(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield the comparisons whose difference is not that of both models' scores."""
    judged = report.folds if recipe.splits.folds else report.holdout
    tuned = by_name(judged)
    baselines = {one.name: by_name(one.scores) for one in report.baselines}
    for one in report.comparisons:
        mine, its = tuned.get(one.metric), baselines.get(one.name, {}).get(one.metric)
        if one.name not in (PREVIOUS, *baselines):
            yield f"a comparison is with `{one.name}`, which is no baseline"
        if mine is None or its is None or mine.value is None or its.value is None:
            continue
        difference = mine.value - its.value
        if is_lower_better(one.metric, recipe.task.kind):
            difference = 0.0 - difference
        is_weighed = one.metric in (
            "brier",
            "ece",
        )  # of answers where one model has no probabilities
        if not is_weighed and not same(one.difference, difference):
            yield (
                f"the gain in {one.metric} over {one.name} is {one.difference}, "
                f"the scores say {difference:g}"
            )


def _corrected(comparisons: Sequence[Comparison], recipe: Recipe) -> Iterator[str]:
    """Yield that p-values are not corrected over all comparisons that are asked for (Holm 1979)."""
    both = recipe.acceptance.over_baselines and recipe.acceptance.over_previous
    previous = [one for one in comparisons if one.name == PREVIOUS]
    others = [one for one in comparisons if one.name != PREVIOUS]
    for group in ([*others, *previous],) if both else (others, previous):
        known = [one for one in group if one.p_value is not None]
        right = holm([one.p_value for one in known if one.p_value is not None])
        for one, adjusted in zip(known, right, strict=True):
            if not same(one.p_adjusted, adjusted):
                yield f"the p-value of {one.metric} over {one.name} is corrected to {one.p_adjusted}"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
