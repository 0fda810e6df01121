"""Learning curves, seeds and sweeps: several trainings compared by their answers to the same rows."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
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
from engine.metrics.verdict import corrected_confidence
from engine.values import Value, bounds, decimal, replace

SHARES = (0.25, 0.5, 1.0)
"""Shares of the training rows; each includes the rows of the smaller ones."""
SMALL_GAIN = 0.02
"""A doubling of the rows that surely gains less than this is called flat."""
FEW_ROWS = 10
CALLED = {"tfidf_svm": "the SVM", "tuned": "the tuned model"}
METRICS_CALLED = {"macro_f1": "macro-F1", "field_f1": "field F1"}


class ShareResult(Value):
    share: float
    rows: int
    predictions: Sequence[Prediction]
    """Answers to the same rows at every share."""


def learning_curve(
    model: str, judged: Sequence[ShareResult], judging: Judging, *, judged_on: str
) -> LearningCurve:
    """Return the curve of a model, its shares ascending, and whether its last step still gained.

    `rising` is True where the interval of the last gain is above 0, False where it includes 0 and is below 0.02 (a
    doubling that is not worth its labelling), and None where the rows do not decide. `rising_classes` are those whose
    F1 rose in the same sense, each on at least ten judged rows.
    """
    points = tuple(
        CurvePoint(share=item.share, rows=item.rows, scores=score(item.predictions, judging))
        for item in judged
    )
    metric = judging.main
    unknown = partial(unknown_curve, model, points, judged_on=judged_on)
    if len(judged) <= 1:
        return unknown(reason="fewer than two trainings to compare")
    gains = last_gains(judged[-2].predictions, judged[-1].predictions, judging)
    gain, last = gains[metric], points[-1].scores
    if gain.value is None:
        why = last.metric(metric).undefined or f"{metric} is undefined for one of the last two"
        return unknown(reason=why)
    if (interval := gain.interval) is None:
        why = "the judged rows, or groups of them, are too few for an interval"
        return unknown(reason=why)
    many = [row.label for row in last.classes if row.support >= FEW_ROWS]
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
            f"{last.rows} judged rows: {step} {bounds(interval.low, interval.high)}"
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
    """Return the gains of the larger part over the smaller one, in the main metric and in `f1.LABEL` of each label.

    All intervals are from the same draws of the paired Bayesian bootstrap; a positive gain means that the larger part
    is better.
    """
    from engine.metrics.resampling import difference, pair  # brings numpy

    main = judging.main
    parts = (smaller, larger) if judging.is_lower_better(main) else (larger, smaller)
    models = pair(*parts, judging)
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
    """Return mean and deviation of each metric that every seed's model has a value of; nothing for one seed."""
    if len(runs) <= 1:
        return ()
    spreads: list[SeedSpread] = []
    for name in [metric.name for metric in runs[0].metrics]:
        same = [metric for run in runs for metric in run.metrics if metric.name == name]
        known = [metric.value for metric in same if metric.value is not None]
        if len(known) == len(runs):
            mean, ends = fmean(known), {"low": min(known), "high": max(known)}
            spreads.append(SeedSpread(metric=name, mean=mean, deviation=stdev(known), **ends))
    return tuple(spreads)


class SettingResult(Value):
    values: Mapping[str, Any]
    """Values by key of the recipe."""
    training: TrainingSummary | None
    predictions: Sequence[Prediction] = ()
    """Answers to the same rows for every setting."""
    failed: str = ""


def choose(judged: Sequence[SettingResult], judging: Judging, metric: str) -> SweepResult:
    """Return every setting's score, and the best setting. StageError B419 where the metric is undefined for all.

    Ties go to the lower validation loss, then to the earlier setting. `behind` of the others is how much worse than
    the best they are; an interval that reaches zero or below does not prove that they are worse.
    """
    settings, is_lower = list[SweepSetting](), judging.is_lower_better(metric)
    for result in judged:
        training = result.training
        scores = None if result.failed else score(result.predictions, judging)
        missing = Metric.missing(metric, result.failed or "not measured")
        setting = SweepSetting(
            values=dict(result.values),
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
    confidence = corrected_confidence(judging.confidence, max(1, len(known) - 1))
    together = replace(judging, confidence=confidence)
    best_rows = judged[best].predictions
    for number in (number for number in known if number != best):
        rows = judged[number].predictions
        models = pair(*((rows, best_rows) if is_lower else (best_rows, rows)), together)
        behind = difference(metric, models, with_test=False).metric
        settings[number] = replace(settings[number], behind=behind)
    return SweepResult(metric=metric, rows=len(best_rows), chosen=best, settings=tuple(settings))
