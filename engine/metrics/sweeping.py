"""Choosing among the settings of a sweep by their models' answers to the same validation rows."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from engine.errors import StageError
from engine.evidence import (
    CurvePoint,
    LearningCurve,
    Metric,
    SeedScores,
    SeedSpread,
    SweepResult,
    SweepSetting,
    TrainingSummary,
    find_metric,
)
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.values import Value, bounds, decimal, replace

SHARES = (0.25, 0.5, 1.0)
"""Of the training rows; each holds the rows of the smaller ones."""

SMALL_GAIN = 0.02
"""A doubling of the rows that surely gains less than this is called flat."""
FEW_ROWS = 10

TWO = 2
CALLED = {"tfidf_svm": "the SVM", "tuned": "the tuned model"}
METRICS_CALLED = {"macro_f1": "macro-F1", "field_f1": "field F1"}


class ShareResult(Value):
    share: float
    rows: int
    predictions: Sequence[Prediction]
    """On the same rows, by id, at every share."""


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
    metric, reason = judging.main, ""
    gains = dict[str, Metric]()
    if len(judged) > 1:
        gains = last_gains(judged[-2].predictions, judged[-1].predictions, judging)
    gain = gains.get(metric)
    if gain is None:  # a step has two ends
        reason = "fewer than two trainings to compare"
    elif gain.value is None:
        last = points[-1].scores.metric(metric)
        reason = last.undefined or f"{metric} is undefined for one of the last two"
    elif gain.interval is None:
        reason = "the judged rows, or groups of them, are too few for an interval"
    if gain is None or gain.value is None or gain.interval is None:
        return unknown_curve(model, points, judged_on=judged_on, reason=reason)
    interval = gain.interval
    many = [row.label for row in points[-1].scores.classes if row.support >= FEW_ROWS]
    classes = {label: gains[f"f1.{label}"] for label in many if f"f1.{label}" in gains}
    values = {label: one.value for label, one in classes.items() if one.value is not None}
    before, after = (round(100 * point.share) for point in points[-2:])
    called = METRICS_CALLED.get(metric, metric)
    step = f"{decimal(gain.value, signed=True)} {called} from {before} to {after} % of the rows"
    rises, is_flat = interval.low > 0, interval.high < SMALL_GAIN
    called_model = CALLED.get(model, model)
    if rises:
        best = max(values, key=lambda label: values[label], default=None)
        more = f"; `{best}` gains most" if best and values[best] > 0 else ""
        message = f"{called_model} still gains: {step}{more}"
    elif is_flat:
        message = f"{called_model} has flattened: {step}"
    else:
        message = (
            f"whether more rows would help {called_model} cannot be decided with "
            f"{points[-1].scores.rows} judged rows: {step} {bounds(interval.low, interval.high)}"
        )
    return LearningCurve(
        model=model,
        judged_on=judged_on,
        points=points,
        rising=rises if rises or is_flat else None,
        rising_classes=tuple(
            label for label, one in classes.items() if one.interval and one.interval.low > 0
        ),
        message=message,
    )


def last_gains(
    smaller: Sequence[Prediction], larger: Sequence[Prediction], judging: Judging
) -> dict[str, Metric]:
    """Return what the larger part gained over the smaller, by metric: the main one, and `f1.LABEL` of each label.

    All intervals stand on the same draws of the paired Bayesian bootstrap; a gain is positive where
    the larger part is better.
    """
    from engine.metrics.resampling import difference, pair  # brings numpy

    # Turned around where less is better: a gain is then positive all the same.
    main = judging.main
    models = pair(
        *((smaller, larger) if judging.is_lower_better(main) else (larger, smaller)), judging
    )
    names = (main, *(name for name in models.measures if name.startswith("f1.")))
    return {name: difference(name, models, with_test=False).metric for name in names}


def unknown_curve(
    model: str, points: tuple[CurvePoint, ...] = (), *, judged_on: str, reason: str
) -> LearningCurve:
    return LearningCurve(
        model=model,
        judged_on=judged_on,
        points=points,
        rising=None,
        rising_classes=(),
        message=f"whether more rows would help {CALLED.get(model, model)} cannot be decided: {reason}",
    )


def spread_of(runs: Sequence[SeedScores]) -> tuple[SeedSpread, ...]:
    """Return mean and deviation of each metric that every seed's model has a value of; of one seed none."""
    if len(runs) < TWO:
        return ()
    found: list[SeedSpread] = []
    for name in [metric.name for metric in runs[0].metrics]:
        same = [metric for run in runs for metric in run.metrics if metric.name == name]
        known = [metric.value for metric in same if metric.value is not None]
        if len(known) == len(runs):
            mean, ends = fmean(known), {"low": min(known), "high": max(known)}
            found.append(SeedSpread(metric=name, mean=mean, deviation=stdev(known), **ends))
    return tuple(found)


class SettingResult(Value):
    values: Mapping[str, Any]
    """Of the keys that a setting has to say."""
    training: TrainingSummary | None
    predictions: Sequence[Prediction] = ()
    """On the same rows, by id, for every setting."""
    failed: str = ""


def choose(judged: Sequence[SettingResult], judging: Judging, metric: str) -> SweepResult:
    """Return every setting's score, and which one is best. StageError B419 where the metric is undefined for all.

    Ties go to the lower validation loss, then to the earlier setting. `behind` of the others says how much
    worse than the best they are; an interval that reaches zero or below does not tell them from it.
    """
    settings, is_lower = list[SweepSetting](), judging.is_lower_better(metric)
    for one in judged:
        training, undefined = one.training, one.failed or "not measured"
        scores = None if one.failed else score(one.predictions, judging)
        missing = Metric.missing(metric, undefined)
        setting = SweepSetting(
            values=dict(one.values),
            metric=find_metric(scores, metric) or missing,
            validation_loss=training.kept_loss if training else None,
            trainable_parameters=training.trainable_parameters if training else None,
            steps=training.steps if training else None,
            seconds=training.seconds if training else None,
        )
        settings.append(setting)
    known = [number for number, one in enumerate(settings) if one.metric.value is not None]
    if not known:
        why = "; ".join(dict.fromkeys(one.metric.undefined for one in settings))
        message = f"{metric} is undefined for every setting: {why}"
        raise StageError.one("B419", message, path="sweep.choose_by")

    def order(number: int) -> tuple[float, float]:
        value, loss = settings[number].metric.value or 0.0, settings[number].validation_loss
        value = value if is_lower else -value
        return value, math.inf if loss is None else loss

    best = min(known, key=order)
    from engine.metrics.resampling import difference, pair  # brings numpy

    # One comparison for each setting but the best.
    confidence = 1 - (1 - judging.confidence) / max(1, len(known) - 1)
    together = replace(judging, confidence=confidence)
    more = judged[best].predictions
    for number in (number for number in known if number != best):
        less = judged[number].predictions
        # Positive whichever way is better.
        models = pair(*((less, more) if is_lower else (more, less)), together)
        behind = difference(metric, models, with_test=False).metric
        settings[number] = replace(settings[number], behind=behind)
    return SweepResult(metric=metric, rows=len(more), chosen=best, settings=tuple(settings))
