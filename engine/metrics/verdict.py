"""Checks of measurements against bounds, and their verdict.

On `lower_bound` a check passes only when the worse end of the interval keeps the bound: at 95 %, a model truly at the
bound passes about 1 time in 40. Where only the measured value keeps it, the check is `inconclusive`, and the gate does
not pass. A gate passes only when all its checks pass, so more checks need no correction.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import Final, Literal

from engine.evidence import Abstention, Check, Metric, Scores, Status, Verdict
from engine.evidence.verdicts import SELECTIVE
from engine.metrics.intervals import EXACT, independent_difference
from engine.metrics.power import FEW_ROWS, MOST_ROWS, OFTEN, ThresholdRule, round_up, rows_to_pass
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import named_metrics
from engine.recipe.metrics import PHYSICAL, ROUNDING, is_lower_better, keeps_bound, primary
from engine.recipe.model import Acceptance, Direction, MaxDrop, Task, Threshold
from engine.values import decimal, replace


def corrected_confidence(confidence: float, files: int) -> float:
    """Return the confidence for each of so many files that keeps the error rate of all together."""
    return 1 - (1 - confidence) / files


def is_proved(check: Check) -> bool:
    """Tell whether a check passes by its interval, so that chance matters."""
    return check.status is Status.PASS and check.decided_on != "point"


def passes_among(check: Check, wider: Check, files: int) -> Check:
    """Make a check undecided that passes where `wider`, the same at the corrected confidence, does not."""
    if not is_proved(check):
        return check
    why = f"one of {files} files leaves"
    if wider.interval is not None:
        end = wider.interval.low if wider.direction == "min" else wider.interval.high
        why += f": at {100 * wider.interval.confidence:.3g} % the {check.decided_on} is {decimal(end, 4)}"
    parts = (why, wider.note if wider.status is not Status.PASS else check.note)
    status = Status.PASS if wider.status is Status.PASS else Status.INCONCLUSIVE
    return replace(check, status=status, note="; ".join(filter(None, parts)))


ACCURACY: Final = f"{SELECTIVE}.accuracy"
COVERAGE: Final = f"{SELECTIVE}.coverage"


def judge_selective(measured: Abstention | None, acceptance: Acceptance) -> tuple[Check, ...]:
    selective = acceptance.selective
    if selective is None:
        return ()
    note = f"answers from a probability of {measured.threshold:.3f} on" if measured else ""
    missing = "no validation rows with probabilities"
    accuracy, coverage = (
        judge(
            metric or Metric.missing(name, missing),
            "min",
            bound,
            decide_on=acceptance.decide_on,
            note=note,
        )
        for name, metric, bound in (
            (ACCURACY, measured and measured.accuracy, selective.accuracy.min),
            (COVERAGE, measured and measured.coverage, selective.coverage.min),
        )
    )
    # The note names the holdout rows that would decide on the accuracy: the model answers a part of them.
    if accuracy.status is not Status.INCONCLUSIVE or not coverage.got or accuracy.got is None:
        return (accuracy, coverage)
    rows, own = rows_to_decide(accuracy, direction="min", bound=accuracy.bound), accuracy.interval
    if own is not None and own.method == EXACT:
        rule = ThresholdRule(bound=accuracy.bound, confidence=acceptance.confidence, is_exact=True)
        rows = rows_to_pass(accuracy.got, rule)
    if rows is not None:
        what = "groups" if own is not None and own.groups else "rows"
        would = f"about {rows:,} answered {what} would decide with power {OFTEN:.2f}"
        enough = f"{would}, {round_up(rows / coverage.got):,} of the holdout (an estimate)"
        accuracy = replace(accuracy, note=f"{enough}; {note}")
    return (accuracy, coverage)


DecideOn = Literal["lower_bound", "point"]
CLOSE: Final = "too close to the bound for more rows to decide"


def verdict(checks: Iterable[Check]) -> Verdict:
    """Add checks up: fail beats inconclusive beats pass; without any check nothing has passed."""
    checks = tuple(checks)
    statuses = {check.status for check in checks}
    status = Status.PASS
    if not statuses or Status.FAIL in statuses:
        status = Status.FAIL
    elif Status.INCONCLUSIVE in statuses:
        status = Status.INCONCLUSIVE
    return Verdict(status=status, checks=checks)


def judge_thresholds(
    thresholds: Sequence[Threshold],
    metrics: Mapping[str, Metric],
    *,
    decide_on: DecideOn,
    notes: Mapping[str, str] | None = None,
) -> tuple[Check, ...]:
    """Compare metrics, by name as in `named_metrics`, with the recipe's thresholds.

    `notes` explain, by metric, how it was measured. A metric of a class or field with fewer than `FEW_ROWS` rows
    does not pass.
    """
    # A metric of one class counts its rows alone; the others count all rows.
    rows = max((metric.n for name, metric in metrics.items() if "." not in name), default=0)
    checks = []
    for threshold in thresholds:
        name = threshold.metric
        metric, note = metrics.get(name) or Metric.missing(name), (notes or {}).get(name, "")
        # size and speed have no interval
        by = "point" if name in PHYSICAL else decide_on
        check = judge(metric, threshold.direction, threshold.bound, decide_on=by, note=note)
        checks.append(hold_back(check, name, n=metric.n, rows=rows))
    return tuple(checks)


def hold_back(check: Check, metric: str, *, n: int, rows: int = 0) -> Check:
    """Make a check undecided that would pass on too few rows of a class or field: `n` of all the `rows`."""
    _, _, label = metric.partition(".")
    if not label or n >= FEW_ROWS or check.got is None:
        return check
    reason, status = f"only {n} {'row' if n == 1 else 'rows'} of `{label}`", check.status
    if status is not Status.FAIL:
        status, reason = Status.INCONCLUSIVE, f"{reason}: fewer than {FEW_ROWS} decide nothing"
        if n and rows:
            reason += f", about {round_up(rows * FEW_ROWS / n):,} holdout rows for {FEW_ROWS}"
    return replace(check, status=status, note="; ".join(filter(None, (reason, check.note))))


def judge_drops(
    max_drops: Sequence[MaxDrop],
    before: Mapping[str, Sequence[Prediction]],
    after: Sequence[Prediction],
    judging: Judging,
) -> tuple[Check, ...]:
    """Compare the loss of a form against each earlier one, by name, on the same rows, with `max_drop`.

    The largest loss decides, and all are shown. The point decides: quantization changes few rows, and a bound as small
    as 0.02 would take thousands of holdout rows to prove. The interval is shown; `agreement` bounds the changed rows.
    """
    from engine.metrics.resampling import paired_difference  # brings numpy

    checks = []
    for drop in max_drops:
        is_lower = judging.is_lower_better(drop.metric)
        losses = {
            name: paired_difference(
                drop.metric, *((after, rows) if is_lower else (rows, after)), judging
            )
            for name, rows in before.items()
        }
        # an unknown loss is the worst of all
        worst = max(
            losses.values(),
            key=lambda one: math.inf if one.metric.value is None else one.metric.value,
        )
        values = {name: one.metric.value for name, one in losses.items()}
        lost = (
            f"{'unknown' if x is None else decimal(x)} from {name}" for name, x in values.items()
        )
        note = f"lost on the same rows: {', '.join(lost)}{'; the larger decides' if len(losses) > 1 else ''}"
        check = judge(worst.metric, "max", drop.max_drop, decide_on="point", note=note)
        checks.append(replace(check, name=f"drop.{drop.metric}", p_value=worst.p_value))
    return tuple(checks)


def judge_gap(
    max_gap: float | None, *, train: Scores, validation: Scores, train_rows: int, task: Task
) -> tuple[Check, ...]:
    """Compare train minus validation in the main metric with `max_gap`, on the point; the interval is shown.

    Where less is better it is validation minus train. `train` may be a sample of the training split's `train_rows`.
    """
    if max_gap is None:
        return ()
    name = primary(task.kind, answer_pattern=task.answer_pattern)
    sampled = f"{train.rows} of {train_rows}" if train.rows < train_rows else f"{train.rows}"
    sides = [
        ("train", f"{sampled} train rows", train.metric(name)),
        ("validation", f"{validation.rows} validation rows", validation.metric(name)),
    ]
    if is_lower_better(name, task.kind):
        sides.reverse()
    missing = [f"{which}: {metric.undefined}" for which, _, metric in sides if metric.value is None]
    (_, of_more, more), (_, of_less, less) = sides
    gap = Metric(
        name="overfitting",
        value=None if missing else (more.value or 0.0) - (less.value or 0.0),
        n=validation.rows,
        interval=independent_difference(more, less),
        undefined="; ".join(missing),
    )
    note = f"{name} on {of_more} minus {of_less}"
    return (judge(gap, "max", max_gap, decide_on="point", note=note),)


def baseline_passes(scores: Scores, acceptance: Acceptance) -> bool:
    """Tell whether a baseline already passes every threshold of the model.

    It answers every row, so the accuracy of `acceptance.selective` is that of all rows.
    """
    bounds = acceptance.metrics
    if acceptance.selective is not None:
        right = acceptance.selective.accuracy
        bounds = (*bounds, Threshold(metric="accuracy", direction="min", bound=right.min))
    checks = judge_thresholds(bounds, named_metrics(scores), decide_on=acceptance.decide_on)
    return verdict(checks).status is Status.PASS


def judge(
    metric: Metric, direction: Direction, bound: float, *, decide_on: DecideOn, note: str = ""
) -> Check:
    """Compare one metric with one bound; equal to the bound passes, undefined fails."""
    got, interval, status, reason = metric.value, metric.interval, Status.INCONCLUSIVE, ""
    worse = math.nan  # which keeps no bound
    if interval is not None:
        worse = interval.low if direction == "min" else interval.high
    if got is None or metric.n <= 0 or not math.isfinite(got):
        got, status = None, Status.FAIL
        reason = f"not computed: {metric.undefined or 'not a number'}"
    elif not keeps_bound(got, direction=direction, bound=bound):
        status = Status.FAIL
    elif decide_on == "point" or keeps_bound(worse, direction=direction, bound=bound):
        status = Status.PASS
    elif interval is None:
        reason = "there is no interval: too few rows, or groups of them"
    elif (rows := rows_to_decide(metric, direction=direction, bound=bound)) is None:
        reason = CLOSE
    else:
        what = "groups" if interval.groups else "rows"
        reason = f"about {rows:,} {what} would decide with power {OFTEN:.2f} (an estimate)"
    end = "lower bound" if direction == "min" else "upper bound"
    return Check(
        name=metric.name,
        status=status,
        got=got,
        direction=direction,
        bound=bound,
        decided_on="point" if decide_on == "point" else end,
        n=metric.n,
        interval=metric.interval,
        note="; ".join(filter(None, (reason, note))),
    )


def point_check(
    name: str, status: Status, got: float | None, *, n: int, note: str, bound: float = 1.0
) -> Check:
    """Return the check of a share that its caller has judged: it must not be below the bound."""
    return Check(
        name=name,
        status=status,
        got=got,
        direction="min",
        bound=bound,
        decided_on="point",
        n=n,
        note=note,
    )


def rows_to_decide(metric: Metric | Check, *, direction: Direction, bound: float) -> int | None:
    """Estimate the rows that decide with power 0.80, if the value is true and its interval shrinks with √rows.

    They are rows as in `metric.n`, or groups where these were resampled, rounded up to two digits. None where no number
    decides, or only more than a million.
    """
    got = metric.got if isinstance(metric, Check) else metric.value
    if got is None or metric.interval is None:
        return None
    margin = got - bound if direction == "min" else bound - got
    low, high = metric.interval.low, metric.interval.high
    reach = got - low if direction == "min" else high - got
    # Written as `not >`, so that NaN ends here too.
    if margin <= ROUNDING or not reach > margin:
        return None
    # The value of so many rows varies too: four times in five it is no further below than this.
    normal = NormalDist()
    reach *= 1 + normal.inv_cdf(OFTEN) / normal.inv_cdf(0.5 + metric.interval.confidence / 2)
    enough = (metric.interval.groups or metric.n) * (reach / margin) ** 2
    return None if enough > MOST_ROWS else round_up(enough)
