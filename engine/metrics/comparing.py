"""The tuned model against other models on the same rows: baselines, the last accepted model, its teacher."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from engine.evidence import (
    Check,
    Comparison,
    Metric,
    Status,
    StudentAgainstTeacher,
    TeacherResult,
)
from engine.metrics.families.fields import is_right
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.verdict import hold_back, judge
from engine.recipe.metrics import ROUNDING
from engine.recipe.model import Acceptance, Direction, MaxDrop, MinGain
from engine.values import Value, field, replace

if TYPE_CHECKING:
    from engine.metrics.resampling import PairedTables

NAME = "over_without_synthetic"
WITHOUT = "without synthetic rows"


def compare_with(
    name: str,
    tuned: Sequence[Prediction],
    others: Sequence[Prediction],
    judging: Judging,
    metrics: Iterable[str],
) -> tuple[Comparison, ...]:
    """Compare with one other model on each metric; a positive difference means that the first is better."""
    from engine.metrics.resampling import pair  # brings numpy

    return corrected(comparisons_with(name, pair(tuned, others, judging), metrics))


def judge_without_synthetic(
    comparisons: Sequence[Comparison], acceptance: Acceptance
) -> tuple[Check, ...]:
    by_metric = {one.metric: one for one in comparisons}
    against = "the same training without the synthetic rows"
    return tuple(
        judge_difference(gain, by_metric.get(gain.metric), against, acceptance, name=NAME)
        for gain in acceptance.over_without_synthetic
    )


PREVIOUS = "previous"


class Earlier(Value):
    """The last accepted model of the recipe, for comparison."""

    answers: Sequence[Prediction] = ()
    accepted: str = ""
    """Date, for people; empty where no model has been accepted before."""
    why_not: str = ""
    """Reason why its answers cannot be compared; empty where they can."""
    why_not_by: Mapping[str, str] = field(default_factory=dict)
    """Reasons why single metrics cannot be compared although others can, by metric."""
    source: str = ""
    """Source of its answers, if not the store: `the lock`."""

    @property
    def named(self) -> str:
        source = f" ({self.source})" if self.source else ""
        return f"the model accepted on {self.accepted}{source}"


class Rivals(Value):
    judging: Judging
    baselines: Mapping[str, Sequence[Prediction]] = field(default_factory=dict)
    earlier: Earlier = field(default_factory=Earlier)


def compare(
    tuned: Sequence[Prediction], rivals: Rivals, *, acceptance: Acceptance, main: str
) -> tuple[Comparison, ...]:
    """Compare with every baseline on each gained metric, and with the last accepted model.

    Where the recipe bounds no gain, or no drop, the `main` metric is compared: shown, not gated, and corrected
    separately.
    """
    from engine.metrics.resampling import pair  # brings numpy

    gained = [gain.metric for gain in acceptance.over_baselines]
    kept = [drop.metric for drop in acceptance.over_previous]
    over_baselines: list[Comparison] = []
    for name, answers in rivals.baselines.items():
        models = pair(tuned, answers, rivals.judging)
        over_baselines += comparisons_with(name, models, gained or [main])
    earlier, over_previous = rivals.earlier, list[Comparison]()
    known = [metric for metric in kept or [main] if metric not in earlier.why_not_by]
    if earlier.accepted and not earlier.why_not and known:
        models = pair(tuned, earlier.answers, rivals.judging)
        over_previous = comparisons_with(PREVIOUS, models, known)
    if gained and kept:
        return corrected([*over_baselines, *over_previous])
    return (*corrected(over_baselines), *corrected(over_previous))


def corrected(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    adjusted = iter(holm([one.p_value for one in comparisons if one.p_value is not None]))
    return tuple(
        comparison if comparison.p_value is None else replace(comparison, p_adjusted=next(adjusted))
        for comparison in comparisons
    )


def judge_gains(comparisons: Sequence[Comparison], acceptance: Acceptance) -> tuple[Check, ...]:
    """Compare the tuned model's gain over the baselines with `min_gain`, by metric.

    Shown is the best baseline, or the best of those that are not beaten for sure. On the lower bound its
    corrected p-value must be small enough too. Without a baseline the check fails.
    """
    checks: list[Check] = []
    for gain in acceptance.over_baselines:
        judge_one = partial(judge_difference, gain, acceptance=acceptance, name="over_baselines")
        compared = [
            one for one in comparisons if one.name != PREVIOUS and one.metric == gain.metric
        ]
        known = [one for one in compared if one.difference is not None]
        if not known:
            missing = compared[0].note if compared else "no baseline"
            checks.append(judge_one(None, "", missing=missing))
            continue
        which, judged = "the best baseline", list[Check]()
        for one in sorted(known, key=lambda one: one.difference or 0.0):
            judged.append(judge_one(one, f"`{one.name}`, {which}"))
            which = "the best one that is not beaten for sure"
        # The gain is claimed over each baseline: the best one that is not beaten decides.
        undecided = [check for check in judged if check.status is not Status.PASS]
        checks.append((undecided or judged)[0])
    return tuple(checks)


def judge_previous(
    comparisons: Iterable[Comparison], acceptance: Acceptance, *, earlier: Earlier
) -> tuple[Check, ...]:
    """Compare the tuned model's loss against the last accepted one with `max_drop`, by metric.

    Before a model has been accepted, nothing is gated; a model that cannot be compared lets nothing pass.
    """
    by_metric = {one.metric: one for one in comparisons if one.name == PREVIOUS}
    checks: list[Check] = []
    for drop in acceptance.over_previous:
        why_not = earlier.why_not or earlier.why_not_by.get(drop.metric, "")
        compared, name = by_metric.get(drop.metric), "over_previous"
        check = judge_difference(
            drop, compared, earlier.named, acceptance, name=name, missing=why_not
        )
        if compared is None and not earlier.accepted:
            note = "no model of this recipe has been accepted before: nothing to compare with"
            # The first run of a recipe must be able to pass.
            check = replace(check, status=Status.WARN, note=note)
        elif compared is None:
            note = f"{earlier.named} cannot be compared: {why_not}"
            check = replace(check, status=Status.INCONCLUSIVE, note=note)
        checks.append(check)
    return tuple(checks)


def comparisons_with(
    name: str, models: PairedTables, metrics: Iterable[str], *, tested: Container[str] | None = None
) -> list[Comparison]:
    """Compare a model with the one of that name on each metric: a positive difference means that the first is better.

    With `tested`, only these metrics have p-values.
    """
    from engine.metrics.resampling import difference  # brings numpy

    comparisons = []
    for name_of_metric in metrics:
        is_tested = tested is None or name_of_metric in tested
        compared = difference(name_of_metric, models, with_test=is_tested)
        is_lower_better = models.judging.is_lower_better(name_of_metric)
        metric = negated(compared.metric) if is_lower_better else compared.metric
        comparison = Comparison(
            name=name,
            metric=metric.name,
            difference=metric.value,
            interval=metric.interval,
            p_value=compared.p_value,
            p_adjusted=None,
            test=compared.test,
            n=metric.n,
            note=metric.undefined,
        )
        comparisons.append(comparison)
    return comparisons


def negated(metric: Metric) -> Metric:
    # Not `-value`, which makes -0.0 of 0.0 and is shown with its sign.
    value = None if metric.value is None else 0.0 - metric.value
    interval = metric.interval
    if interval is not None:
        interval = replace(interval, low=0.0 - interval.high, high=0.0 - interval.low)
    return replace(metric, value=value, interval=interval)


def judge_difference(
    bound: MinGain | MaxDrop,
    comparison: Comparison | None,
    against: str,
    acceptance: Acceptance,
    *,
    name: str,
    missing: str = "not measured",
) -> Check:
    """Judge a gain over another model or a drop against it; `name` begins that of the check.

    A metric of few rows of a class decides nothing; without a comparison the check fails. A gain on the lower bound
    needs a small corrected p-value, too.
    """
    direction: Direction = "min"
    if is_gain := isinstance(bound, MinGain):
        limit = bound.min_gain
    else:
        direction, limit = "max", bound.max_drop
    name = f"{name}.{bound.metric}"
    if comparison is None:
        metric = Metric.missing(name, missing)
        return judge(metric, direction, limit, decide_on=acceptance.decide_on)
    metric = Metric(
        name=name,
        value=comparison.difference,
        n=comparison.n,
        interval=comparison.interval,
        undefined=comparison.note,
    )
    note = f"against {against}, on the same rows; p: {comparison.test}"
    metric = metric if is_gain else negated(metric)
    check = judge(metric, direction, limit, decide_on=acceptance.decide_on, note=note)
    check = replace(check, p_value=comparison.p_value, p_adjusted=comparison.p_adjusted)
    check = hold_back(check, bound.metric, n=comparison.n)
    if not is_gain or check.status is not Status.PASS or acceptance.decide_on == "point":
        return check
    most, p_value = 1 - acceptance.confidence, comparison.p_adjusted
    if p_value is not None and p_value <= most + ROUNDING:
        return check
    shown = "no p-value" if p_value is None else f"p = {p_value:.3g} after Holm's correction"
    note = f"{shown}, required at most {most:.3g}; {check.note}"
    return replace(check, status=Status.INCONCLUSIVE, note=note)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's (1979) adjusted p-values, in the order of `p_values`.

    The smallest is multiplied by their number, the next by one less, and so on; none becomes smaller than one
    before it, and none larger than 1.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)


def against_teacher(
    student: Sequence[Prediction],
    answers: Sequence[Prediction],
    comparisons: tuple[Comparison, ...],
    *,
    teacher: TeacherResult,
    parameters: int,
    rows_per_second: float | None,
) -> StudentAgainstTeacher:
    teacher_right = {row.id: is_right(row) for row in answers}
    pairs = [(is_right(row), teacher_right[row.id]) for row in student]
    return StudentAgainstTeacher(
        comparisons=comparisons,
        both_right=pairs.count((True, True)),
        only_teacher_right=pairs.count((False, True)),
        only_student_right=pairs.count((True, False)),
        neither_right=pairs.count((False, False)),
        parameters=parameters,
        teacher_parameters=teacher.parameters,
        rows_per_second=rows_per_second,
        teacher_rows_per_second=teacher.rows_per_second,
    )


AGAINST_TEACHER = "against_teacher"


def judge_against_teacher(
    found: StudentAgainstTeacher | None, acceptance: Acceptance, *, rows: int
) -> tuple[Check, ...]:
    """Judge every bound of `acceptance.against_teacher`, if any; a missing measurement fails."""
    drops = judge_teacher_drops(found.comparisons if found else (), acceptance)
    return (*drops, *judge_ratios(found, acceptance, rows=rows))


def judge_teacher_drops(
    comparisons: Sequence[Comparison], acceptance: Acceptance
) -> Iterator[Check]:
    compared = {one.metric: one for one in comparisons}
    for drop in acceptance.against_teacher.drops if acceptance.against_teacher else ():
        comparison = compared.get(drop.metric)
        against = f"`{comparison.name}`" if comparison else ""
        yield judge_difference(drop, comparison, against, acceptance, name=AGAINST_TEACHER)


def judge_ratios(
    found: StudentAgainstTeacher | None, acceptance: Acceptance, *, rows: int
) -> Iterator[Check]:
    bounds = acceptance.against_teacher
    if bounds is None:
        return
    size, speed = (found.size_ratio, found.speed_ratio) if found else (None, None)
    ratios: tuple[tuple[str, float | None, Direction, float | None], ...] = (
        ("parameters", size, "max", bounds.max_parameters),
        ("rows_per_second", speed, "min", bounds.min_speed),
    )
    for name, value, direction, bound in ratios:
        if bound is not None:
            undefined = "not measured" if value is None else ""
            metric = Metric(name=f"teacher_ratio.{name}", value=value, n=rows, undefined=undefined)
            yield judge(metric, direction, bound, decide_on="point")
