"""Whether scores, and comparisons of two models, agree with themselves and with the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Final

from engine.evidence import ClassScores, Comparison, Interval, Metric, Report, Scores
from engine.kinds import AnswerForm
from engine.lock.coherence import OF_PROBABILITIES
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.recipe.metrics import spec_of
from engine.recipe.model import Recipe, Task
from engine.values import replace

FEWEST_ROWS: Final = 20
NARROWER: Final = 0.8
WIDER: Final = 1.25
"""Of the difference and the sum of the widths of both models' own intervals."""
LEAST: Final = 0.01
"""In the metric's unit."""
SKEW: Final = 2.5
"""How much farther the upper end may stand from the value than the lower one."""
SURER: Final = 1.0
"""Standard errors by which a p-value may be surer than its interval."""
DOUBT: Final = 3.0
DOUBTS: Final = 3.5
"""Standard errors, and those of the p-value times so much, by which an interval may be surer than it."""
RESOLVED: Final = 0.002
"""Below it, a permutation test has too few draws for a comparison."""
_NORMAL: Final = NormalDist()


def comparison_statistics(
    comparisons: Iterable[Comparison], judged: Scores, rivals: Mapping[str, Scores], recipe: Recipe
) -> Iterator[str]:
    """Yield the comparisons whose interval or p-value the scores deny; rows of groups are not looked at."""
    if recipe.task.spec.answer is not AnswerForm.LABEL or recipe.splits.by == "group":
        return
    from engine.metrics.families import family_of  # brings numpy

    family = family_of(recipe.task)
    table = family.tabulate(rows_of(judged.confusion, recipe.task.labels), recipe.task)
    of_rows = {one.name: bool(one.of_rows) for one in family.measures(table)}
    for one in comparisons:
        if one.n < FEWEST_ROWS or one.metric in OF_PROBABILITIES or one.metric not in of_rows:
            continue
        name = f"the comparison with {one.name} in {one.metric}"
        yield from (f"{name}: {why}" for why in _p_value(one, is_of_rows=of_rows[one.metric]))
        if one.interval is not None and one.difference is not None:
            sides = (judged, rivals.get(one.name))
            own = tuple(by_name(side).get(one.metric) for side in sides)
            yield from (f"{name}: {why}" for why in _interval(one.interval, one.difference, own))
            yield from (f"{name}: {why}" for why in _both(one, one.interval, one.difference))


def _p_value(one: Comparison, *, is_of_rows: bool) -> Iterator[str]:
    from engine.metrics.resampling import (
        DRAWS,
        mcnemar,  # brings numpy and scipy
    )

    if one.p_value is None or one.difference is None:
        return
    right = "McNemar's exact test" if is_of_rows else "paired permutation test"
    if one.test != right:
        yield f"its test is `{one.test}`, which is `{right}` for this metric"
        return
    if not is_of_rows:
        hits = one.p_value * (DRAWS + 1)
        if hits < 1 - NEAR or abs(hits - round(hits)) > NEAR * DRAWS:
            yield f"no {DRAWS} draws give the p-value {one.p_value:g}"
        return
    more = round(abs(one.difference) * one.n)
    lost = range((one.n - more) // 2 + 1)
    if not any(
        math.isclose(one.p_value, mcnemar(less + more, less), rel_tol=NEAR) for less in lost
    ):
        yield f"no answers to {one.n} rows with this difference give the p-value {one.p_value:g}"


def _interval(found: Interval, difference: float, own: tuple[Metric | None, ...]) -> Iterator[str]:
    if "bootstrap" not in found.method:
        yield f"its interval is made by `{found.method}`"
    width = found.high - found.low
    mine, its = (one.interval if one else None for one in own)
    if mine is not None and its is not None:
        widths = mine.high - mine.low, its.high - its.low
        narrowest = NARROWER * abs(widths[0] - widths[1]) - LEAST
        if not narrowest <= width <= WIDER * sum(widths) + LEAST:
            yield f"its interval of {span(found)} cannot be that of {span(mine)} and {span(its)}"
    # of a loss against a model that is nearly always right, the interval is as skew by itself
    if difference >= 0 and found.high - difference > SKEW * (difference - found.low) + LEAST:
        yield f"its interval of {span(found)} has {difference:g} too near at its lower end"


def _both(one: Comparison, found: Interval, difference: float) -> Iterator[str]:
    error = (found.high - found.low) / 2 / _NORMAL.inv_cdf(0.5 + found.confidence / 2)
    if one.p_value is None or error <= 0 or not 0 < one.p_value <= 1:
        return
    by_interval = abs(difference) / error
    by_test = -_NORMAL.inv_cdf(max(one.p_value / 2, 1e-300))
    surest = max(DOUBT, DOUBTS * by_test)
    if by_test > by_interval + SURER or (one.p_value > RESOLVED and by_interval > surest):
        yield f"its interval of {span(found)} and its p-value of {one.p_value:g} deny each other"


NEAR = 1e-6
OFF = 0.25
"""Of the width of a resampled interval, by which an end may differ where the rows are drawn in another order."""
LEAST_OFF = 0.01


def all_scores(report: Report) -> Iterator[tuple[str, Scores]]:
    """Yield every scores of a report that are judged on the holdout or on other rows, by a name for people."""
    for name in ("holdout", "free", "train_scores", "validation_scores", "quantized", "folds"):
        if (scores := getattr(report, name)) is not None:
            yield name.removesuffix("_scores"), scores
    yield from ((f"baseline {one.name}", one.scores) for one in report.baselines)
    for curve in report.learning_curves:
        yield from ((f"learning curve of {curve.model}", point.scores) for point in curve.points)
    for one in report.ladder:
        yield f"rung {one.name}", one.scores
        if one.free is not None:
            yield f"rung {one.name}, free decoding", one.free


def unlike(name: str, scores: Scores, recipe: Recipe) -> Iterator[str]:
    """Yield what of scores cannot be true beside the rest of them."""
    names = [metric.name for metric in scores.metrics]
    if len(set(names)) != len(names):
        yield f"{name}: a metric stands twice"
    for metric in scores.metrics:
        spec = spec_of(metric.name, recipe.task.kind)
        value, interval = metric.value, metric.interval
        if value is not None and metric.undefined:
            yield f"{name}: {metric.name} is {value:g} and undefined"
        if spec is not None and spec.unit == "share" and metric.n > scores.rows:
            yield f"{name}: {metric.name} stands on {metric.n} of {scores.rows} rows"
        if value is None or interval is None:
            continue
        if not interval.low - NEAR <= value <= interval.high + NEAR:
            yield f"{name}: {metric.name} is {value:g}, outside of its interval"
        if abs(interval.confidence - recipe.acceptance.confidence) > NEAR:
            yield f"{name}: the interval of {metric.name} is one of {interval.confidence:g}"
    yield from (f"{name}: {one}" for one in _calibration(scores))
    if recipe.task.spec.answer is not AnswerForm.LABEL:
        return
    wrong = next(_confusion(scores, recipe), "")
    if wrong:
        yield f"{name}: {wrong}"
        return
    again = _scored(scores.confusion, recipe.task, recipe.acceptance.confidence)
    yield from (f"{name}: {one}" for one in _unlike_metrics(scores, again, recipe))
    yield from (f"{name}: {one}" for one in _unlike_classes(scores.classes, again.classes))


def _calibration(scores: Scores) -> Iterator[str]:
    """Yield where the calibration is not that of its bins, or of the metrics."""
    found, metrics = scores.calibration, by_name(scores)
    if found is None:
        return
    for name in OF_PROBABILITIES:
        metric, value = metrics.get(name), getattr(found, name)
        if metric is not None and metric.value is not None and not same(metric.value, value):
            yield f"{name} is {metric.value}, the calibration says {value}"
    for at, one in enumerate(found.bins):
        edges = at / len(found.bins), (at + 1) / len(found.bins)
        if not same(one.low, edges[0]) or not same(one.high, edges[1]):
            yield f"a bin of the calibration goes from {one.low:g} to {one.high:g}"
        is_in = edges[0] - NEAR <= one.confidence <= edges[1] + NEAR
        if not (is_in and 0 <= one.accuracy <= 1) if one.rows else one.confidence or one.accuracy:
            yield f"a bin of {one.rows} rows has the confidence {one.confidence:g} and the accuracy {one.accuracy:g}"
    rows = sum(one.rows for one in found.bins)
    if rows > scores.rows:
        yield f"the calibration counts {rows} of {scores.rows} rows"
    if rows:
        ece = sum(one.rows * abs(one.confidence - one.accuracy) for one in found.bins) / rows
        if not same(found.ece, ece):
            yield f"ece is {found.ece:g}, its bins give {ece:g}"


def _confusion(scores: Scores, recipe: Recipe) -> Iterator[str]:
    labels = len(recipe.task.labels)
    if len(scores.confusion) != labels or any(len(row) != labels + 1 for row in scores.confusion):
        yield "the confusion matrix is not one of the task's labels"
        return
    cells = [cell for row in scores.confusion for cell in row]
    if min(cells) < 0 or sum(cells) != scores.rows:
        yield f"the confusion matrix counts {sum(cells)} of {scores.rows} rows"


@lru_cache(maxsize=32)
def _scored(confusion: tuple[tuple[int, ...], ...], task: Task, confidence: float) -> Scores:
    """Return the scores of a confusion matrix; most rungs of a ladder have the same one."""
    # any seed: these rows stand in another order than the run's, so resampled intervals only come
    # near anyway
    judging = Judging(task=task, confidence=confidence, seed=0)
    return score(rows_of(confusion, task.labels), judging)


def rows_of(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> list[Prediction]:
    """Return answers that have the confusion matrix of a classification."""
    answers: Sequence[str | None] = (*labels, None)
    rows = [
        Prediction(id="", target=target, label=answer, text=answer or "?", probability=None)
        for target, counts in zip(labels, confusion, strict=True)
        for answer, count in zip(answers, counts, strict=True)
        for _ in range(count)
    ]
    return [replace(row, id=f"{number:016x}") for number, row in enumerate(rows)]


def _unlike_metrics(scores: Scores, again: Scores, recipe: Recipe) -> Iterator[str]:
    known = {metric.name: metric for metric in again.metrics}
    found = {metric.name: metric for metric in scores.metrics}
    for name in known.keys() - found.keys():
        yield f"{name} is missing"
    for name, metric in found.items():
        if name in OF_PROBABILITIES or name not in known:
            continue
        right = known[name]
        if not same(metric.value, right.value):
            yield f"{name} is {metric.value}, the confusion matrix gives {right.value}"
        elif metric.n != right.n:
            yield f"{name} stands on {metric.n} rows, the confusion matrix has {right.n}"
        # by group, whole groups are resampled, and a confusion matrix does not say which rows
        # belong together
        elif recipe.splits.by != "group" and not _alike(metric, right):
            ends = span(metric.interval), span(right.interval)
            yield f"the interval of {name} is {ends[0]}, the confusion matrix gives {ends[1]}"


def _alike(metric: Metric, right: Metric) -> bool:
    """Tell whether an interval is that of the same counts; resampled ones are so only nearly."""
    one, two = metric.interval, right.interval
    if one is None or two is None:
        return one is two
    if one.method != two.method:
        return False
    is_drawn = "bootstrap" in one.method
    off = max(LEAST_OFF, OFF * (two.high - two.low)) if is_drawn else NEAR
    return abs(one.low - two.low) <= off and abs(one.high - two.high) <= off


def span(interval: Interval | None) -> str:
    return "none" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"


def _unlike_classes(classes: Sequence[ClassScores], again: Sequence[ClassScores]) -> Iterator[str]:
    found = {one.label: one for one in classes}
    for right in again:
        one = found.get(right.label)
        if one is None:
            yield f"the table has no row of `{right.label}`"
            continue
        for part in ("precision", "recall", "f1", "support", "predicted"):
            text = f"{part} of `{{name}}` is {{}} in the table, the confusion matrix gives {{}}"
            yield from unequal((getattr(one, part), getattr(right, part), text), name=right.label)


def unequal(*facts: tuple[Any, Any, str], name: str = "") -> Iterator[str]:
    """Yield of each two values that are not the same what the text beside them says.

    In a text, `{}` stands for the values and `{name}` for what has them; it is never one of a bundle's own, which
    could hold braces.
    """
    for here, there, text in facts:
        is_number = isinstance(here, float) or isinstance(there, float)
        if not (same(here, there) if is_number else here == there):
            shown = map(span, (here, there)) if _has_interval(here, there) else (here, there)
            yield text.format(*shown, name=name)


def _has_interval(*values: object) -> bool:
    return any(isinstance(value, Interval) for value in values)


def same(one: float | None, other: float | None) -> bool:
    """Tell whether two numbers are the same but for rounding."""
    if one is None or other is None:
        return one is other
    return abs(one - other) <= NEAR * max(1.0, abs(other))


def by_name(scores: Scores | None) -> Mapping[str, Metric]:
    """Return metrics by name; empty for None."""
    return {metric.name: metric for metric in scores.metrics} if scores else {}
