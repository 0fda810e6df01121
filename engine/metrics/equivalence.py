"""Test of equivalence: whether a repeated training gave the same model but for noise.

Two one-sided tests (Schuirmann 1987) at 5 %: the paired 90 % interval of the difference must lie within a margin on
both sides. The margin is from trainings that differ only in their seed or, without these, half of the lock's interval.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from engine.evidence import Equivalence, Interval, Metric
from engine.metrics.intervals import proportion
from engine.metrics.predictions import Judging, Prediction
from engine.recipe.model import Task
from engine.values import Value, replace

LEVEL = 0.05
CONFIDENCE = 1 - 2 * LEVEL
FEWEST_SEEDS = 3
"""Trainings from which the noise can be estimated."""
_MEANS = ("macro_", "balanced_")
"""Beginnings of the names of metrics that are means over labels or fields."""
LEAST_AGREEMENT = 0.9

MOST_WIDER = 1.5
"""Factor by which a lock's interval may be wider than that of a repeated run on the same rows."""


class Margin(Value):
    value: float | None
    origin: str


class MetricPair(Value):
    metric: str
    locked: float
    found: float
    margin: Margin
    task: Task
    seed: int


def margin_of(
    locked: Mapping[str, Any],
    spread: Mapping[str, Any] | None,
    *,
    seeds: int,
    rows: int,
    interval: Interval | None = None,
) -> Margin:
    """Return the margin of a metric from its `locked` value with interval and its spread over seeds.

    Its value is None if it shows nothing: every value is within it, or it is from a lock's interval much wider than the
    `interval` of the repeated run on the same rows.
    """
    if spread is not None and seeds >= FEWEST_SEEDS:
        from scipy.stats import t  # only where seeds were trained

        deviation = float(spread["deviation"])
        # Student's quantile, since few seeds give the deviation; the root of two, since both trainings vary.
        factor = float(t.ppf(1 - LEVEL / 2, seeds - 1)) * math.sqrt(2)
        margin, interval = max(factor * deviation, 1 / max(1, rows)), None
        origin = (
            f"what two trainings with other seeds may differ by: {factor:.2f} times the standard "
            f"deviation {deviation:.4f} of {seeds} seeds, at least one row of {rows}"
        )
    else:
        few = f"{seeds} seeds are too few for a noise band" if seeds > 1 else "no further seeds"
        if locked["low"] is None or locked["high"] is None:
            return Margin(value=None, origin=f"{few}, and the lock has no interval")
        margin = (float(locked["high"]) - float(locked["low"])) / 2
        origin = f"half of the lock's interval ({few} in the lock)"
    value = float(locked["value"])
    if margin >= max(value, 1 - value):
        return Margin(value=None, origin=f"every value is within ±{margin:.3f}: {origin}")
    if interval is not None:
        half = (interval.high - interval.low) / 2
        if margin > MOST_WIDER * half + 1 / max(1, rows):
            says = f"the lock's interval is wider than these rows give (±{half:.3f})"
            return Margin(value=None, origin=says)
    return Margin(value=margin, origin=origin)


def equivalence(
    asked: MetricPair,
    found: Sequence[Prediction],
    before: Sequence[Prediction] | None,
    *,
    differing: int,
) -> Equivalence:
    """Test whether a metric is the same but for noise.

    `before` are the answers of the lock; without them, the interval is from the number of `differing` answers: a share
    of rows moves by at most one row for each.
    """
    interval: Interval | None = None
    if before is not None and (differing or asked.found != asked.locked):
        from engine.metrics.resampling import difference, pair  # brings SciPy

        # The lock keeps hashes of answers without probabilities: both sides must be scored alike.
        plain = [replace(row, probability=None, probabilities=()) for row in found]
        judging = Judging(task=asked.task, confidence=CONFIDENCE, seed=asked.seed)
        models = pair(plain, before, judging)
        if asked.metric in models.measures:
            interval = difference(asked.metric, models, with_test=False).metric.interval
    if interval is None:
        # Each changed answer moves a share of rows by one row at most, up or down: the deviation of the sum is at most
        # the root of their number. A metric of fewer rows, such as the F1 of a rare label, moves by one of these.
        rows = max(1, len(found))
        reach = NormalDist().inv_cdf(1 - LEVEL) * math.sqrt(differing / rows)
        reach /= math.sqrt(_effective_rows(asked, found)) if found else 1.0
        point = asked.found - asked.locked
        interval = Interval(
            low=point - reach,
            high=point + reach,
            confidence=CONFIDENCE,
            method=f"from the {differing} answers that differ",
        )
    margin = asked.margin.value
    holds = margin is not None and -margin <= interval.low and interval.high <= margin
    return Equivalence(
        metric=asked.metric,
        locked=asked.locked,
        found=asked.found,
        interval=interval,
        margin=margin,
        margin_from=asked.margin.origin,
        holds=holds,
    )


def agreement_bound(seeds: Sequence[Mapping[str, Any]]) -> tuple[float, str]:
    known = [float(seed["agreement"]) for seed in seeds if seed["agreement"] is not None]
    if len(known) + 1 >= FEWEST_SEEDS:
        return min(known), f"the least agreement of {len(known)} further seeds with the first"
    return LEAST_AGREEMENT, "a convention, since too few further seeds were trained"


def agreement_metric(same: Sequence[bool]) -> Metric:
    return proportion("agreement", sum(same), len(same), confidence=CONFIDENCE)


def agrees(found: Metric | None, bound: float) -> bool:
    """Tell whether an agreement is not surely below the bound; kinds without answers have no agreement."""
    if found is None or found.value is None:
        return True
    high = found.interval.high if found.interval else found.value
    return high >= bound


def _effective_rows(asked: MetricPair, found: Sequence[Prediction]) -> float:
    """Return the rows that a metric is a share of: those of a label; of a mean over labels the effective rows."""
    from engine.metrics.families import family_of  # brings numpy

    table = family_of(asked.task).tabulate(found, asked.task)
    if not table.names or "support" not in table.columns:
        return len(found)
    support = dict(zip(table.names, table.sums()["support"].tolist(), strict=True))
    name, _, label = asked.metric.partition(".")
    counts = [support.get(label, 0.0)] if label else [*support.values()]
    counts = [count for count in counts if count > 0]
    if not counts or not (label or name.startswith(_MEANS)):
        return len(found)
    return float(min(len(found), len(counts) ** 2 / sum(1 / count for count in counts)))
