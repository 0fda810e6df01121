"""Learning curves: one model trained on growing parts of the rows, judged on the same rows.

Whether more examples would pay is asked of the last step, from half of the rows to all of them:
the difference in macro-F1 on the same judged rows, with a paired bootstrap interval. The next
doubling usually gains less than the last one did, so a last step that gains nothing that can be
told from chance promises little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.evidence import (
    CurvePoint,
    Interval,
    LearningCurve,
)
from engine.metrics.classification import score
from engine.metrics.predictions import Prediction

SHARES = (0.25, 0.5, 1.0)
"""Of the training rows; each holds the rows of the smaller ones."""

METRIC = "macro_f1"
SMALL_GAIN = 0.02
"""A doubling of the rows that surely gains less than this is called flat."""
FEW_ROWS = 10
"""Below this many judged rows of a class nothing is said about its curve."""

CALLED = {"tfidf_svm": "the SVM", "tuned": "the tuned model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a model trained on part of the rows said."""

    share: float
    rows: int
    """It was trained on."""
    predictions: Sequence[Prediction]
    """On the same rows, by id, at every share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
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
    model: str,
    judged: Sequence[Judged],
    *,
    labels: Sequence[str],
    judged_on: str,
    confidence: float,
    seed: int,
) -> LearningCurve:
    """Return the curve of a model, its shares ascending, and whether its last step still gained.

    `rising` is True where the interval of the last gain lies above 0, False where it lies below
    0.02 (a doubling that is not worth its labelling) and holds 0, and None where the judged
    rows cannot tell. `rising_classes` are those whose F1 rose in the same sense, each on at least
    ten judged rows.
    """
    points = tuple(
        CurvePoint(
            share=item.share,
            rows=item.rows,
            scores=score(item.predictions, labels, confidence=confidence, seed=seed),
        )
        for item in judged
    )
    reason = _why_unknown(points)
    if reason:
        return _unknown(model, points, judged_on=judged_on, reason=reason)
    gain, classes = last_gains(
        judged[-2].predictions,
        judged[-1].predictions,
        labels=labels,
        confidence=confidence,
        seed=seed,
    )
    support = {row.label: row.support for row in points[-1].scores.classes}
    known = {label: classes[label] for label in labels if support[label] >= FEW_ROWS}
    return LearningCurve(
        model=model,
        judged_on=judged_on,
        points=points,
        rising=True if gain.rises else False if gain.is_flat else None,
        rising_classes=tuple(label for label, step in known.items() if step.rises),
        message=_message(model, gain, known, points),
    )


def too_few_rows(model: str, *, judged_on: str, reason: str) -> LearningCurve:
    """Return a curve without points, and why there are none."""
    return _unknown(model, (), judged_on=judged_on, reason=reason)


def last_gains(
    smaller: Sequence[Prediction],
    larger: Sequence[Prediction],
    *,
    labels: Sequence[str],
    confidence: float,
    seed: int,
) -> tuple[Gain, dict[str, Gain]]:
    """Return what the larger part gained over the smaller: in macro-F1, and in F1 by label.

    All intervals stand on the same draws of the paired Bayesian bootstrap. Needs a judged row of
    every label.
    """
    from engine.metrics.resampling import PAIRED_METHOD, draw, percentile_interval  # noqa: PLC0415 - brings numpy
    from engine.metrics.tally import code, metric_values  # noqa: PLC0415 - the same

    after, before = draw(code(labels, larger, smaller), seed=seed)
    scores = [score(said, labels, confidence=confidence, seed=seed) for said in (larger, smaller)]

    def gain(name: str) -> Gain:
        high, low = (found.metric(name).value or 0.0 for found in scores)
        drawn = metric_values(name, after, labels=labels)
        drawn = drawn - metric_values(name, before, labels=labels)
        interval = percentile_interval(
            drawn, high - low, confidence=confidence, method=PAIRED_METHOD
        )
        return Gain(value=high - low, interval=interval)

    return gain(METRIC), {label: gain(f"f1.{label}") for label in labels}


def _why_unknown(points: Sequence[CurvePoint]) -> str:
    if len(points) < 2:  # noqa: PLR2004 - a step has two ends
        return "fewer than two trainings to compare"
    metric = points[-1].scores.metric(METRIC)
    return metric.undefined if metric.value is None else ""


def _unknown(
    model: str, points: tuple[CurvePoint, ...], *, judged_on: str, reason: str
) -> LearningCurve:
    return LearningCurve(
        model=model,
        judged_on=judged_on,
        points=points,
        rising=None,
        rising_classes=(),
        message=f"whether more rows would help {_called(model)} cannot be told: {reason}",
    )


def _message(
    model: str, gain: Gain, classes: Mapping[str, Gain], points: Sequence[CurvePoint]
) -> str:
    before, after = (round(100 * point.share) for point in points[-2:])
    step = f"{gain.value:+.3f} macro-F1 from {before} to {after} % of the rows"
    if gain.rises:
        best = max(classes, key=lambda label: classes[label].value, default=None)
        more = f"; `{best}` gains most" if best and classes[best].value > 0 else ""
        return f"{_called(model)} still gains: {step}{more}"
    if gain.is_flat:
        return f"{_called(model)} has flattened: {step}"
    bounds = f"[{gain.interval.low:+.3f}, {gain.interval.high:+.3f}]"
    return (
        f"whether more rows would help {_called(model)} cannot be told with "
        f"{points[-1].scores.rows} judged rows: {step} {bounds}"
    )


def _called(model: str) -> str:
    return CALLED.get(model, model)
