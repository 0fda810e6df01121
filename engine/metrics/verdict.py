"""Bounds against measurements: checks, and the verdict they add up to.

On `lower_bound` a check passes only when the worse end of the interval keeps the bound: with a
two-sided interval of 95 %, a model truly at the bound passes about 1 time in 40. Where the measured
value keeps the bound and the interval's end does not, the rows cannot tell: `inconclusive`, which
lets nothing pass either. A gate passes only when all its checks pass, so more checks make a false
pass rarer, not likelier, and need no correction. A number that is not there never passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from engine.evidence import Check, Metric, Scores, Status, Verdict
from engine.metrics.predictions import Prediction
from engine.metrics.scoring import named_metrics
from engine.recipe.model import Acceptance, Direction, MaxDrop, MinGain, Task, Threshold

if TYPE_CHECKING:
    from engine.metrics.paired import Difference

DecideOn = Literal["lower_bound", "point"]

ROUNDING = 1e-12
"""Differences of fractions are off by less; a value this close to the bound is equal to it."""

FEW_ROWS = 30
"""Below this many rows of a class a 95 % interval is wider than 0.2 over most of its range."""

MOST_ROWS = 1_000_000
"""An estimate above is not worth saying."""


def verdict(checks: Iterable[Check]) -> Verdict:
    """Add checks up: fail beats inconclusive beats pass; without any check nothing has passed."""
    checks = tuple(checks)
    found = {check.status for check in checks}
    if not found or Status.FAIL in found:
        return Verdict(status=Status.FAIL, checks=checks)
    if Status.INCONCLUSIVE in found:
        return Verdict(status=Status.INCONCLUSIVE, checks=checks)
    return Verdict(status=Status.PASS, checks=checks)


def judge_thresholds(
    thresholds: Sequence[Threshold],
    metrics: Mapping[str, Metric],
    *,
    decide_on: DecideOn,
    notes: Mapping[str, str] | None = None,
) -> tuple[Check, ...]:
    """Compare metrics, by name as `named_metrics` gives them, with the recipe's thresholds.

    `notes` say, by metric, how it was measured where that is not plain.
    """
    return tuple(
        judge(
            metrics.get(threshold.metric)
            or Metric(name=threshold.metric, value=None, n=0, undefined="not measured"),
            direction=threshold.direction,
            bound=threshold.bound,
            decide_on=decide_on,
            note=(notes or {}).get(threshold.metric) or _few_rows(metrics.get(threshold.metric)),
        )
        for threshold in thresholds
    )


def judge_gains(
    gains: Sequence[MinGain],
    tuned: Sequence[Prediction],
    baselines: Mapping[str, Sequence[Prediction]],
    *,
    task: Task,
    acceptance: Acceptance,
    seed: int,
) -> tuple[Check, ...]:
    """Compare the tuned model's gain over the best baseline, by metric, on the same rows.

    The best baseline is the one with the highest value of that metric. Without a baseline the
    check fails: there is nothing it could have beaten.
    """
    from engine.metrics.paired import paired_difference  # noqa: PLC0415 - brings numpy

    checks = []
    for gain in gains:
        differences = {
            name: paired_difference(
                gain.metric,
                tuned,
                predictions,
                task=task,
                confidence=acceptance.confidence,
                seed=seed,
            )
            for name, predictions in baselines.items()
        }
        checks.append(_judge_gain(gain, differences, decide_on=acceptance.decide_on))
    return tuple(checks)


def judge_drops(
    max_drops: Sequence[MaxDrop],
    *,
    merged: Sequence[Prediction],
    quantized: Sequence[Prediction],
    task: Task,
    confidence: float,
    seed: int,
) -> tuple[Check, ...]:
    """Compare what quantization lost, merged minus quantized on the same rows, with `max_drop`.

    Decided on the point: quantization changes few rows, and a bound as small as 0.02 would take
    thousands of holdout rows to prove. The interval is shown; `agreement` bounds the changed rows.
    """
    from engine.metrics.paired import paired_difference  # noqa: PLC0415 - brings numpy

    checks = []
    for drop in max_drops:
        difference = paired_difference(
            drop.metric, merged, quantized, task=task, confidence=confidence, seed=seed
        )
        check = judge(
            difference.metric,
            direction="max",
            bound=drop.max_drop,
            decide_on="point",
            note="merged minus quantized, on the same rows",
        )
        checks.append(replace(check, name=f"drop.{drop.metric}", p_value=difference.p_value))
    return tuple(checks)


def judge_gap(
    max_gap: float | None, *, train: Scores, validation: Scores, train_rows: int
) -> tuple[Check, ...]:
    """Compare train minus validation macro-F1 with `max_gap`, on the point; no check for None.

    `train_rows` is the size of the training split, of which `train` may be a sample.
    """
    if max_gap is None:
        return ()
    names = (("train", train.metric("macro_f1")), ("validation", validation.metric("macro_f1")))
    missing = [f"{name}: {metric.undefined}" for name, metric in names if metric.value is None]
    values = [metric.value for _, metric in names if metric.value is not None]
    sampled = f"{train.rows} of {train_rows}" if train.rows < train_rows else f"{train.rows}"
    gap = Metric(
        name="overfitting",
        value=None if missing else values[0] - values[1],
        n=validation.rows,
        undefined="; ".join(missing),
    )
    note = f"macro_f1 on {sampled} train rows minus {validation.rows} validation rows"
    return (judge(gap, direction="max", bound=max_gap, decide_on="point", note=note),)


def baseline_passes(scores: Scores, acceptance: Acceptance) -> bool:
    """Tell whether one baseline already keeps every threshold, by the rule the model must keep."""
    checks = judge_thresholds(
        acceptance.metrics, named_metrics(scores), decide_on=acceptance.decide_on
    )
    return verdict(checks).status is Status.PASS


def judge(
    metric: Metric, *, direction: Direction, bound: float, decide_on: DecideOn, note: str = ""
) -> Check:
    """Compare one metric with one bound; equal to the bound passes, undefined fails."""
    status, reason = _decide(metric, direction=direction, bound=bound, decide_on=decide_on)
    end = "lower bound" if direction == "min" else "upper bound"
    return Check(
        name=metric.name,
        status=status,
        got=metric.value if _is_measured(metric) else None,
        direction=direction,
        bound=bound,
        decided_on="point" if decide_on == "point" else end,
        n=metric.n,
        interval=metric.interval,
        note="; ".join(part for part in (reason, note) if part),
    )


def rows_to_decide(metric: Metric | Check, *, direction: Direction, bound: float) -> int | None:
    """Estimate how many rows would decide, if the value stays and its interval shrinks with √rows.

    Rows of the kind that `metric.n` counts, rounded up to two digits; None where no number of rows
    would do, or only more than a million.
    """
    got = metric.got if isinstance(metric, Check) else metric.value
    if got is None or metric.interval is None:
        return None
    margin = got - bound if direction == "min" else bound - got
    low, high = metric.interval.low, metric.interval.high
    reach = got - low if direction == "min" else high - got
    if margin <= ROUNDING or not reach > margin:
        return None
    rows = metric.n * (reach / margin) ** 2
    if rows > MOST_ROWS:
        return None
    step: int = 10 ** max(0, math.floor(math.log10(rows)) - 1)
    return math.ceil(round(rows / step, 6)) * step


def _judge_gain(
    gain: MinGain, differences: Mapping[str, Difference], *, decide_on: DecideOn
) -> Check:
    name = f"over_baselines.{gain.metric}"
    known = {
        baseline: difference.metric.value
        for baseline, difference in differences.items()
        if difference.metric.value is not None
    }
    if not known:
        reasons = [difference.metric.undefined for difference in differences.values()]
        missing = Metric(
            name=name, value=None, n=0, undefined=reasons[0] if reasons else "no baseline"
        )
        return judge(missing, direction="min", bound=gain.min_gain, decide_on=decide_on)
    best = min(known, key=lambda baseline: known[baseline])
    difference = differences[best]
    check = judge(
        difference.metric,
        direction="min",
        bound=gain.min_gain,
        decide_on=decide_on,
        note=f"against `{best}`, the best baseline, on the same rows; p: {difference.test}",
    )
    return replace(check, name=name, p_value=difference.p_value)


def _decide(
    metric: Metric, *, direction: Direction, bound: float, decide_on: DecideOn
) -> tuple[Status, str]:
    got = metric.value
    if got is None or not _is_measured(metric):
        return Status.FAIL, f"not computed: {metric.undefined or 'not a number'}"
    if not _keeps(got, direction=direction, bound=bound):
        return Status.FAIL, ""
    if decide_on == "point" or _keeps(
        _worse_end(metric, direction=direction), direction=direction, bound=bound
    ):
        return Status.PASS, ""
    rows = rows_to_decide(metric, direction=direction, bound=bound)
    if rows is None:
        return Status.INCONCLUSIVE, "too close to the bound for more rows to decide"
    return Status.INCONCLUSIVE, f"about {rows:,} rows would decide (an estimate)"


def _worse_end(metric: Metric, *, direction: Direction) -> float:
    """Return the interval's end that decides; NaN without an interval, which keeps no bound."""
    if metric.interval is None:
        return math.nan
    return metric.interval.low if direction == "min" else metric.interval.high


def _is_measured(metric: Metric) -> bool:
    return metric.n > 0 and metric.value is not None and math.isfinite(metric.value)


def _keeps(value: float, *, direction: Direction, bound: float) -> bool:
    """Say whether a value is on the right side; False for NaN, which compares with nothing."""
    if direction == "min":
        return value >= bound - ROUNDING
    return value <= bound + ROUNDING


def _few_rows(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return ""
    _, _, label = metric.name.partition(".")
    if label and metric.n < FEW_ROWS:
        return f"only {metric.n} rows of `{label}`: the interval is wide"
    return ""
