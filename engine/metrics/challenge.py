"""A newer base model against the accepted model, on the same rows: better, as good, worse, or undecided.

Differences are signed so that more is better for the newcomer. The p-values of all of its ways to
answer, and of all metrics, are corrected together (Holm 1979): the best of several ways looks
better by luck more often than the confidence says. It looks as good by luck more often, too, so that is asked
of intervals at a confidence that is corrected for the number of ways (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.evidence import ChallengeLine, ChallengeOutcome, Comparison, Interval, Metric
from engine.metrics.comparing import comparisons_with, corrected
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import values_of
from engine.metrics.several import corrected_confidence
from engine.metrics.verdict import rows_to_decide
from engine.values import replace

MARGIN = 0.02
"""So much worse counts as as good, in the metric's own unit, where the recipe bounds no drop."""


def lines(
    accepted: Sequence[Prediction],
    candidates: Mapping[str, Sequence[Prediction]],
    metrics: Sequence[str],
    judging: Judging,
    *,
    margins: Mapping[str, float],
) -> tuple[ChallengeLine, ...]:
    """Compare each candidate with the accepted model on each metric, corrected over all of them.

    `margins` are by metric; `MARGIN` for those that have none.
    """
    from engine.metrics.paired import pair  # brings numpy

    before = values_of(accepted, judging.task)
    after = {name: values_of(answers, judging.task) for name, answers in candidates.items()}
    confidence = corrected_confidence(judging.confidence, max(1, len(candidates)))
    wider = replace(judging, confidence=confidence)
    found, ends = list[Comparison](), list[Interval | None]()
    for name, answers in candidates.items():
        models = pair(answers, accepted, judging)
        compared = surely = comparisons_with(name, models, metrics)
        if len(candidates) > 1:  # else at the same confidence
            surely = comparisons_with(name, replace(models, judging=wider), metrics, tested=())
        found += compared
        ends += [one.interval for one in surely]
    found_lines = []
    for one, end in zip(corrected(found), ends, strict=True):
        margin = margins.get(one.metric, MARGIN)
        standing, rows = stand(one, end, margin=margin, confidence=judging.confidence)
        line = ChallengeLine(
            comparison=one,
            standing=standing,
            margin=margin,
            accepted=before.get(one.metric),
            newcomer=after[one.name].get(one.metric),
            rows=rows,
        )
        found_lines.append(line)
    return tuple(found_lines)


def stand(
    comparison: Comparison, interval: Interval | None, *, margin: float, confidence: float
) -> tuple[ChallengeOutcome, int | None]:
    """Return what a comparison shows, and where it shows nothing how many rows would.

    Better and worse are what chance explains too seldom; as good is what is surely less than the
    margin worse, by the `interval` that is corrected for the number of ways to answer.
    """
    delta = comparison.difference
    p_value = comparison.p_adjusted
    if delta is None or interval is None or p_value is None:
        return ChallengeOutcome.UNKNOWN, None
    if p_value <= 1 - confidence and delta != 0:
        return (ChallengeOutcome.BETTER if delta > 0 else ChallengeOutcome.WORSE), None
    if interval.low >= -margin:
        return ChallengeOutcome.AS_GOOD, None
    metric = Metric(name="", value=delta, n=comparison.n, interval=interval)
    rows = rows_to_decide(metric, direction="min", bound=-margin)
    return ChallengeOutcome.UNKNOWN, rows or rows_to_decide(metric, direction="max", bound=0.0)


def overall(lines: Sequence[ChallengeLine]) -> ChallengeOutcome:
    """Return the standing of one candidate over all metrics: what is worse or unknown decides."""
    outcomes = {line.standing for line in lines}
    for standing in (ChallengeOutcome.WORSE, ChallengeOutcome.UNKNOWN, ChallengeOutcome.BETTER):
        if standing in outcomes:
            return standing
    return ChallengeOutcome.AS_GOOD if outcomes else ChallengeOutcome.UNKNOWN


def best_of(lines: Sequence[ChallengeLine]) -> str:
    """Return the candidate that is best on the first metric, ties by order."""
    first = [line.comparison for line in lines]
    shown = [one for one in first if one.metric == first[0].metric and one.difference is not None]
    return max(shown or first, key=lambda one: one.difference or 0.0).name
