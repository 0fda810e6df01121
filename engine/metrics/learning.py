"""Learning curves: one model trained on growing parts of the rows, judged on the same rows.

Whether more examples would pay is asked of the last step, from half of the rows to all of them:
the difference in the kind's main metric on the same judged rows, with a paired bootstrap interval. The next
doubling usually gains less than the last one did, so a last step that gains nothing that can be
distinguished from chance promises little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.evidence import (
    CurvePoint,
    Interval,
    LearningCurve,
    Metric,
)
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.values import Value
from engine.values.numbers import bounds, decimal

SHARES = (0.25, 0.5, 1.0)
"""Of the training rows; each holds the rows of the smaller ones."""

SMALL_GAIN = 0.02
"""A doubling of the rows that surely gains less than this is called flat."""
FEW_ROWS = 10
"""Below this many judged rows of a class nothing is reported about its curve."""

CALLED = {"tfidf_svm": "the SVM", "tuned": "the tuned model"}
METRICS_CALLED = {"macro_f1": "macro-F1", "field_f1": "field F1"}


class ShareResult(Value):
    """What a model trained on part of the rows answered."""

    share: float
    rows: int
    """It was trained on."""
    predictions: Sequence[Prediction]
    """On the same rows, by id, at every share."""


class Gain(Value):
    """The last step of a curve on one metric."""

    value: float
    interval: Interval

    @property
    def rises(self) -> bool:
        """It is above zero beyond chance."""
        return self.interval.low > 0

    @property
    def is_flat(self) -> bool:
        """It is below `SMALL_GAIN` beyond chance."""
        return self.interval.high < SMALL_GAIN


def learning_curve(
    model: str, judged: Sequence[ShareResult], judging: Judging, *, judged_on: str
) -> LearningCurve:
    """Return the curve of a model, its shares ascending, and whether its last step still gained.

    `rising` is True where the interval of the last gain lies above 0, False where it lies below
    0.02 (a doubling that is not worth its labelling) and holds 0, and None where the judged
    rows cannot tell. `rising_classes` are those whose F1 rose in the same sense, each on at least
    ten judged rows.
    """
    points = tuple(
        CurvePoint(share=item.share, rows=item.rows, scores=score(item.predictions, judging))
        for item in judged
    )
    metric = judging.main
    reason = _why_unknown(points, metric)
    if reason:
        return unknown_curve(model, points, judged_on=judged_on, reason=reason)
    gain, classes = last_gains(judged[-2].predictions, judged[-1].predictions, judging)
    if gain is None:
        is_known = points[-2].scores.metric(metric).value is not None
        reason = (
            "the judged rows, or groups of them, are too few for an interval"
            if is_known
            else f"{metric} is undefined for one of the last two"
        )
        return unknown_curve(model, points, judged_on=judged_on, reason=reason)
    rows = points[-1].scores.classes
    many = [row.label for row in rows if row.support >= FEW_ROWS]
    known = {label: classes[label] for label in many if label in classes}
    return LearningCurve(
        model=model,
        judged_on=judged_on,
        points=points,
        rising=True if gain.rises else False if gain.is_flat else None,
        rising_classes=tuple(label for label, step in known.items() if step.rises),
        message=_message(model, gain, known, points, metric=metric),
    )


def last_gains(
    smaller: Sequence[Prediction], larger: Sequence[Prediction], judging: Judging
) -> tuple[Gain | None, dict[str, Gain]]:
    """Return what the larger part gained over the smaller: in the main metric, and in F1 by label.

    All intervals stand on the same draws of the paired Bayesian bootstrap; a gain is positive where
    the larger part is better. What is undefined is None, or left out.
    """
    from engine.metrics.paired import difference, pair  # brings numpy

    # Turned around where less is better: a gain is then positive all the same.
    main = judging.main
    parts = (smaller, larger) if judging.is_lower_better(main) else (larger, smaller)
    models = pair(*parts, judging)
    found = difference(main, models, with_test=False).metric
    classes = {
        name.partition(".")[2]: difference(name, models, with_test=False).metric
        for name in models.measures
        if name.startswith("f1.")
    }
    gains = {name: gain for name, metric in classes.items() if (gain := _gain(metric))}
    return _gain(found), gains


def _gain(metric: Metric) -> Gain | None:
    if metric.value is None or metric.interval is None:
        return None
    return Gain(value=metric.value, interval=metric.interval)


def _why_unknown(points: Sequence[CurvePoint], name: str) -> str:
    if len(points) < 2:  # a step has two ends
        return "fewer than two trainings to compare"
    metric = points[-1].scores.metric(name)
    return metric.undefined if metric.value is None else ""


def unknown_curve(
    model: str, points: tuple[CurvePoint, ...] = (), *, judged_on: str, reason: str
) -> LearningCurve:
    """Return a curve that decides nothing, and why; without points where nothing was trained."""
    return LearningCurve(
        model=model,
        judged_on=judged_on,
        points=points,
        rising=None,
        rising_classes=(),
        message=f"whether more rows would help {_called(model)} cannot be decided: {reason}",
    )


def _message(
    model: str,
    gain: Gain,
    classes: Mapping[str, Gain],
    points: Sequence[CurvePoint],
    *,
    metric: str,
) -> str:
    before, after = (round(100 * point.share) for point in points[-2:])
    called = METRICS_CALLED.get(metric, metric)
    step = f"{decimal(gain.value, signed=True)} {called} from {before} to {after} % of the rows"
    if gain.rises:
        best = max(classes, key=lambda label: classes[label].value, default=None)
        more = f"; `{best}` gains most" if best and classes[best].value > 0 else ""
        return f"{_called(model)} still gains: {step}{more}"
    if gain.is_flat:
        return f"{_called(model)} has flattened: {step}"
    ends = bounds(gain.interval.low, gain.interval.high)
    return (
        f"whether more rows would help {_called(model)} cannot be decided with "
        f"{points[-1].scores.rows} judged rows: {step} {ends}"
    )


def _called(model: str) -> str:
    return CALLED.get(model, model)
