"""Choosing among the settings of a sweep by their models' answers to the same validation rows.

The best value of one metric is chosen. How sure that choice is stands beside it: each other setting's
distance from the best, paired row by row, with its interval. Of many settings some are far behind by luck
alone, so the intervals are as wide as it takes for all of them to hold together (Bonferroni). The best of
several looks better on the rows that chose it than it is; what it is worth is asked of the holdout, later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import StageError
from engine.evidence import Metric, SweepResult, SweepSetting, TrainingSummary
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.values import Value, replace


class SettingResult(Value):
    """What the model of one setting answered."""

    values: Mapping[str, Any]
    """Of the keys that a setting has to say."""
    training: TrainingSummary | None
    predictions: Sequence[Prediction] = ()
    """On the same rows, by id, for every setting."""
    failed: str = ""
    """Why there is no model of it: its numbers ran away, or nothing was learned."""


class SweepCriterion(Value):
    """How settings are compared."""

    judging: Judging
    metric: str
    """Of the task's kind."""

    @property
    def lower_is_better(self) -> bool:
        """Whether less of the metric is better."""
        return self.judging.is_lower_better(self.metric)


def choose(judged: Sequence[SettingResult], choice: SweepCriterion) -> SweepResult:
    """Return every setting's score, and which one is best.

    Ties go to the lower validation loss, then to the earlier setting. `behind` of the others says how much
    worse than the best they are; an interval that reaches zero or below does not tell them from it.

    Raises:
        StageError: B419 the metric is undefined for every setting.

    """
    settings = [_setting(one, choice) for one in judged]
    known = [number for number, one in enumerate(settings) if one.metric.value is not None]
    if not known:
        why = "; ".join(dict.fromkeys(one.metric.undefined for one in settings))
        message = f"{choice.metric} is undefined for every setting: {why}"
        raise StageError.one("B419", message, path="sweep.choose_by")

    def order(number: int) -> tuple[float, float]:
        value, loss = settings[number].metric.value or 0.0, settings[number].validation_loss
        value = value if choice.lower_is_better else -value
        return value, math.inf if loss is None else loss

    best = min(known, key=order)
    # One comparison for each setting but the best.
    confidence = 1 - (1 - choice.judging.confidence) / max(1, len(known) - 1)
    together = replace(choice, judging=replace(choice.judging, confidence=confidence))
    others = (
        replace(one, behind=_behind(judged[best], judged[number], together))
        if number != best and number in known
        else one
        for number, one in enumerate(settings)
    )
    rows = len(judged[best].predictions)
    return SweepResult(metric=choice.metric, rows=rows, chosen=best, settings=tuple(others))


def _setting(one: SettingResult, choice: SweepCriterion) -> SweepSetting:
    training, undefined = one.training, one.failed or "not measured"
    metrics = () if one.failed else score(one.predictions, choice.judging).metrics
    missing = Metric(name=choice.metric, value=None, n=0, undefined=undefined)
    return SweepSetting(
        values=dict(one.values),
        metric=next((each for each in metrics if each.name == choice.metric), missing),
        validation_loss=training.kept_loss if training else None,
        trainable_parameters=training.trainable_parameters if training else None,
        steps=training.steps if training else None,
        seconds=training.seconds if training else None,
    )


def _behind(best: SettingResult, other: SettingResult, choice: SweepCriterion) -> Metric:
    """Return by how much `other` is worse than the best: positive whichever way is better."""
    from engine.metrics.paired import difference, pair  # brings numpy

    more, less = best.predictions, other.predictions
    if choice.lower_is_better:
        more, less = less, more
    models = pair(more, less, choice.judging)
    return difference(choice.metric, models, with_test=False).metric
